#include "lib/vm/egress.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define ALLOW "allow="

void
egress_release(struct egress *e)
{
	argv_release(&e->net4);
	argv_release(&e->net6);
	argv_release(&e->hosts);
}

bool
egress_normal_name(const char *name, char ret[256])
{
	size_t i, n = strlen(name), label = 0;

	if (n && name[n - 1] == '.')
		n--;
	if (!n || n > 253)
		return false;
	for (i = 0; i < n; i++) {
		char c = (char)tolower((unsigned char)name[i]);

		if (c == '.' ? !label : !isalnum((unsigned char)c) &&
				c != '-' && c != '_')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
		ret[i] = c;
	}
	ret[n] = '\0';
	return label > 0;
}

/* 1 it is one and added, 0 it does not look like one, -1 it is a bad one. */
static int
add_net(struct egress *e, const char *word)
{
	CLEANUP_FREE char *address = xstrdup(word);
	char *slash = strchr(address, '/'), *end;
	bool six = strchr(word, ':') != NULL;
	unsigned char bytes[16];
	long max = six ? 128 : 32, prefix = max;

	if (slash) {
		*slash++ = '\0';
		prefix = strtol(slash, &end, 10);
		if (!isdigit((unsigned char)*slash) || *end || prefix > max)
			return -1;
	}
	if (inet_pton(six ? AF_INET6 : AF_INET, address, bytes) != 1)
		return slash || six ? -1 : 0;
	argv_pushf(six ? &e->net6 : &e->net4, "%s/%ld", address, prefix);
	return 1;
}

static int
add_word(struct egress *e, const char *word, struct err *err)
{
	const char *name = strncmp(word, "*.", 2) ? word : word + 2;
	int net = add_net(e, word);
	char normal[256];

	if (net > 0)
		return 0;
	/* The last label of a host is never a number: that is an address. */
	if (net < 0 || !egress_normal_name(name, normal) ||
		!strspn(strrchr(normal, '.') ? strrchr(normal, '.') + 1 :
					       normal,
			"abcdefghijklmnopqrstuvwxyz"))
		return err_set(err, ERR_USAGE,
			"--egress: '%.80s' is no network, address or name",
			word);
	argv_pushf(&e->hosts, "%s%s", name == word ? "" : "*.", normal);
	return 0;
}

int
egress_parse(const char *text, struct egress *ret, struct err *err)
{
	CLEANUP_ARGV struct argv words = ARGV_INIT;
	size_t i;

	if (!strcmp(text, "none") || !strcmp(text, "all")) {
		ret->mode = *text == 'n' ? EGRESS_NONE : EGRESS_ALL;
		return 0;
	}
	if (strncmp(text, ALLOW, sizeof(ALLOW) - 1) != 0)
		return err_set(err, ERR_USAGE,
			"--egress: '%.80s' is not none, all or "
			"allow=CIDR,HOST,...",
			text);
	ret->mode = EGRESS_ALLOW;
	argv_splitc(&words, text + sizeof(ALLOW) - 1, ',');
	if (!words.n || words.n > EGRESS_MAX)
		return err_set(err, ERR_USAGE,
			"--egress: allow= takes 1 to %d words, not %zu",
			EGRESS_MAX, words.n);
	for (i = 0; i < words.n; i++)
		if (add_word(ret, words.v[i], err))
			return -1;
	return 0;
}

bool
egress_allows_name(const struct egress *e, const char *name)
{
	char normal[256];
	size_t i, n;

	if (e->mode != EGRESS_ALLOW)
		return e->mode == EGRESS_ALL;
	if (!egress_normal_name(name, normal))
		return false;
	n = strlen(normal);
	for (i = 0; i < e->hosts.n; i++) {
		const char *host = e->hosts.v[i];
		size_t k = strlen(host);

		if (!strcmp(host, normal))
			return true;
		if (*host == '*' && n > k - 1 &&
			!strcmp(normal + n - (k - 1), host + 1))
			return true;
	}
	return false;
}
