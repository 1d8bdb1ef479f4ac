#include "lib/net/proxy.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

#define V1_MAX 107 /* with its CR LF */

static const unsigned char v2_signature[12] = { '\r', '\n', '\r', '\n', 0,
	'\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

static void
put(char *address, size_t size, int family, const void *from, unsigned port)
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(family, from, text, sizeof(text));
	snprintf(address, size, family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		text, port);
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443", one space between words. */
static int
parse_v1(char *line, char *address, size_t size)
{
	CLEANUP_ARGV struct argv words = ARGV_INIT;
	struct err err = ERR_INIT;
	unsigned char from[16], to[16];
	int64_t port, port2;
	bool six;
	int family;

	argv_split(&words, line);
	if (words.n < 2)
		return -1;
	if (!strcmp(words.v[1], "UNKNOWN")) {
		snprintf(address, size, "unknown");
		return 0;
	}
	six = !strcmp(words.v[1], "TCP6");
	family = six ? AF_INET6 : AF_INET;
	if ((!six && strcmp(words.v[1], "TCP4") != 0) || words.n != 6 ||
		inet_pton(family, words.v[2], from) != 1 ||
		inet_pton(family, words.v[3], to) != 1 ||
		parse_i64(words.v[4], 0, 65535, "port", &port, &err) ||
		parse_i64(words.v[5], 0, 65535, "port", &port2, &err))
		return -1;
	put(address, size, family, from, (unsigned)port);
	return 0;
}

static ssize_t
find_v1(const unsigned char *p, size_t n, char *address, size_t size)
{
	size_t most = n < V1_MAX ? n : V1_MAX;
	const unsigned char *end = memchr(p, '\n', most);
	char line[V1_MAX + 1];
	size_t len;

	if (!end)
		return n < V1_MAX ? 0 : -1;
	len = (size_t)(end - p);
	if (len < 2 || p[len - 1] != '\r' || memchr(p, '\0', len))
		return -1;
	memcpy(line, p, len - 1);
	line[len - 1] = '\0';
	return parse_v1(line, address, size) ? -1 : (ssize_t)len + 1;
}

static ssize_t
parse_v2(const unsigned char *p, size_t n, char *address, size_t size)
{
	size_t len;

	if (n < 16)
		return 0;
	len = 16 + ((size_t)p[14] << 8 | p[15]);
	if (p[12] >> 4 != 2 || (p[12] & 15) > 1 || len > PROXY_MAX)
		return -1;
	if (n < len)
		return 0;
	snprintf(address, size, "unknown"); /* LOCAL, or not over IP */
	if ((p[12] & 15) == 0)
		return (ssize_t)len;
	if (p[13] == 0x11) {
		if (len < 16 + 12)
			return -1;
		put(address, size, AF_INET, p + 16,
			(unsigned)p[24] << 8 | p[25]);
	} else if (p[13] == 0x21) {
		if (len < 16 + 36)
			return -1;
		put(address, size, AF_INET6, p + 16,
			(unsigned)p[48] << 8 | p[49]);
	}
	return (ssize_t)len;
}

ssize_t
proxy_parse(const unsigned char *p, size_t n, char *address, size_t size)
{
	size_t k = n < sizeof(v2_signature) ? n : sizeof(v2_signature);

	if (!memcmp(p, v2_signature, k))
		return n < sizeof(v2_signature) ?
			0 :
			parse_v2(p, n, address, size);
	k = n < 6 ? n : 6;
	if (memcmp(p, "PROXY ", k) != 0)
		return -1;
	return n < 6 ? 0 : find_v1(p, n, address, size);
}
