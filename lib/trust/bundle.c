#include "lib/trust/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

static const char prefix[] = "kfr1_";

void
bundle_release(struct bundle *b)
{
	if (b->token)
		explicit_bzero(b->token, strlen(b->token));
	free(b->token);
	free(b->ca);
	free(b->url);
	*b = BUNDLE_INIT;
}

static void
wipe(struct buf *b)
{
	explicit_bzero(b->s, b->len);
	buf_release(b);
}

void
bundle_write(const struct bundle *b, struct buf *ret)
{
	CLEANUP(wipe) struct buf text = BUF_INIT;
	CLEANUP_JSON struct json *o = json_object();

	/* The order that kuiper-forge's own command line has: sorted. */
	if (b->ca)
		json_put_str(o, "ca", b->ca);
	json_put_str(o, "m", b->ca ? "ca" : "chain");
	json_put_str(o, "t", b->token);
	json_put_str(o, "u", b->url);
	json_write(o, &text);
	buf_adds(ret, prefix);
	base64url_add(ret, text.s, text.len);
}

static int
refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID, "the bundle %s", why);
}

static int
take(const struct json *o, struct bundle *b, struct err *err)
{
	const char *mode = json_str(o, "m", "ca"), *ca = json_str(o, "ca", "");
	const char *token = json_str(o, "t", ""), *url = json_str(o, "u", "");
	CLEANUP_FREE char *host = NULL;
	int port;

	if (strcmp(mode, "ca") != 0 && strcmp(mode, "chain") != 0)
		return refuse(err, "wants a trust other than ca or chain");
	if (!*token)
		return refuse(err, "has no token");
	if (!*ca && !strcmp(mode, "ca"))
		return refuse(err, "has no CA");
	if (!*url)
		return refuse(err, "has no URL");
	if (bundle_url(url, &host, &port, err))
		return err_wrap(err, "the bundle");
	b->token = xstrdup(token);
	b->ca = !strcmp(mode, "ca") ? xstrdup(ca) : NULL;
	b->url = xstrdup(url);
	return 0;
}

int
bundle_parse(const char *s, size_t n, struct bundle *ret, struct err *err)
{
	CLEANUP(wipe) struct buf text = BUF_INIT;
	CLEANUP_JSON struct json *o = NULL;
	struct err why = ERR_INIT;

	while (n && strchr(" \t\r\n", s[n - 1]))
		n--;
	while (n && strchr(" \t\r\n", *s))
		s++, n--;
	if (n > BUNDLE_MAX)
		return refuse(err, "is larger than 64 KiB");
	if (n < strlen(prefix) || memcmp(s, prefix, strlen(prefix)) != 0)
		return refuse(err, "does not begin with 'kfr1_'");
	if (base64url_decode(s + strlen(prefix), n - strlen(prefix),
			BUNDLE_MAX, &text))
		return refuse(err, "is cut or damaged: copy it again");
	if (json_parse(text.s, text.len, &o, &why))
		return refuse(err, "is damaged: copy it again");
	return take(o, ret, err);
}

static bool
host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* The end of the host at s, or NULL; a v6 address stands in brackets. */
static const char *
host_end(const char *s)
{
	const char *p = s;

	if (*s == '[') {
		p = s + 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
		return *p == ']' && p > s + 1 ? p + 1 : NULL;
	}
	while (host_byte(*p))
		p++;
	return p > s && p - s <= 253 && *s != '-' ? p : NULL;
}

int
bundle_url(const char *url, char **ret_host, int *ret_port, struct err *err)
{
	static const char scheme[] = "https://";
	const char *host = url + strlen(scheme), *end = NULL;
	CLEANUP_FREE char *port = NULL;
	bool v6;

	if (!strncmp(url, scheme, strlen(scheme)))
		end = host_end(host);
	if (!end || (*end && *end != ':' && *end != '/'))
		return err_set(err, ERR_INVALID,
			"URL '%.256s' is not https://HOST[:PORT]", url);
	*ret_port = 443;
	if (*end == ':') {
		port = xstrndup(end + 1, strcspn(end + 1, "/"));
		if (parse_int(port, 1, 65535, "the port of the URL", ret_port,
				err))
			return -1;
	}
	v6 = *host == '[';
	*ret_host = xstrndup(host + v6, (size_t)(end - host) - 2 * v6);
	return 0;
}
