#include "lib/session/proxy.h"

#include <ctype.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/net/http_stream.h"
#include "lib/net/web.h"
#include "lib/session/api_key.h"
#include "lib/session/proxy_usage.h"
#include "lib/base/banned.h"

#define IDLE_MS (300 * 1000)
#define BODY_MS (60 * 1000)

struct call {
	const struct proxy *p;
	struct web *w;
	int fd;
	int status; /* 0: no answer was begun */
	bool chunked, failed;
	int64_t got;
	struct proxy_usage usage;
};

/* ---- who may call what ---- */

static bool
in_list(const char *name, size_t n, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == n && !strncasecmp(*list, name, n))
			return true;
	return false;
}

/* Where agents put a key, and we put another or nothing. */
static const char *const credentials[] = { "authorization", "x-api-key",
	"x-goog-api-key", "api-key", "cookie", "proxy-authorization", NULL };

static bool
knows(const struct web *w, const char *token)
{
	size_t i, n = strlen(token);

	for (i = 0; credentials[i]; i++) {
		const char *v = web_header(w, credentials[i]);

		if (v && !strncasecmp(v, "bearer ", strlen("bearer ")))
			v += strlen("bearer ");
		if (v && strlen(v) == n && !CRYPTO_memcmp(v, token, n))
			return true;
	}
	return false;
}

/* Nothing that two servers could read in two ways. */
static bool
plain(const char *target)
{
	const char *p;

	for (p = target; *p && *p != '?'; p++)
		if (!isalnum((unsigned char)*p) && !strchr("/-._~:", *p))
			return false;
	for (; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '#')
			return false;
	return !strstr(target, "/.") && !strstr(target, "//");
}

static bool
allowed_path(const struct proxy *p, const char *target)
{
	size_t i;

	for (i = 0; plain(target) && i < p->key->paths.n; i++)
		if (!strncmp(target, p->key->paths.v[i],
			    strlen(p->key->paths.v[i])))
			return true;
	return false;
}

static int
check(const struct proxy *p, struct web *w, struct err *err)
{
	const char *m = w->method;

	w->status = 401;
	if (!knows(w, p->token))
		return err_set(err, ERR_INVALID,
			"not the token of this session");
	w->status = 405;
	if (strcmp(m, "GET") != 0 && strcmp(m, "HEAD") != 0 &&
		strcmp(m, "POST") != 0)
		return err_set(err, ERR_INVALID, "only GET, HEAD and POST");
	w->status = 403;
	if (!allowed_path(p, w->target))
		return err_set(err, ERR_INVALID,
			"forge lets this session call no such path");
	w->deadline = clock_mono() + BODY_MS;
	if (strcmp(m, "POST") != 0)
		return 0;
	return web_length(w, PROXY_BODY_MAX, err) || web_body(w, err) ? -1 : 0;
}

/* ---- the answer ---- */

/* What is between two parties only, or is made anew. */
static const char *const hop[] = { "connection", "keep-alive",
	"proxy-authenticate", "proxy-connection", "te", "trailer",
	"transfer-encoding", "upgrade", "host", "content-length", "expect",
	"accept-encoding", "set-cookie", "set-cookie2", "forwarded",
	"x-forwarded-for", NULL };

static int
put(struct call *c, const void *p, size_t n)
{
	if (write_all(c->fd, p, n))
		c->failed = true;
	return c->failed ? -1 : 0;
}

static bool
no_body(const struct call *c)
{
	return c->status == 204 || c->status == 304 ||
		!strcmp(c->w->method, "HEAD");
}

static int
on_head(int status, const struct argv *headers, void *arg)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct call *c = arg;
	size_t i;

	c->status = status;
	buf_addf(&b, "HTTP/1.1 %03d Answer\r\n", status);
	for (i = 0; i < headers->n; i++)
		if (!in_list(headers->v[i], strcspn(headers->v[i], ": "), hop))
			buf_addf(&b, "%s\r\n", headers->v[i]);
	if (!no_body(c)) {
		c->chunked = true;
		buf_adds(&b, "Transfer-Encoding: chunked\r\n");
	}
	buf_adds(&b, "\r\n");
	return put(c, b.s, b.len);
}

static int
on_body(const void *p, size_t n, void *arg)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct call *c = arg;

	if (!n || !c->chunked)
		return 0;
	c->got += (int64_t)n;
	proxy_usage_take(&c->usage, p, n);
	buf_addf(&b, "%zx\r\n", n);
	buf_add(&b, p, n);
	buf_adds(&b, "\r\n");
	return put(c, b.s, b.len);
}

/* ---- a call ---- */

static void
headers_for(const struct proxy *p, const struct web *w, struct argv *ret)
{
	size_t i;

	for (i = 0; i + 1 < w->headers.n; i += 2) {
		const char *name = w->headers.v[i];
		size_t n = strlen(name);

		if (!in_list(name, n, hop) && !in_list(name, n, credentials))
			argv_pushf(ret, "%s: %s", name, w->headers.v[i + 1]);
	}
	if (!web_header(w, "Content-Type"))
		argv_push(ret, "Content-Type:"); /* libcurl adds none */
	argv_push(ret, "Expect:");
	for (i = 0; i < p->key->auth.n; i++) {
		CLEANUP_FREE char *line = api_key_fill(p->key->auth.v[i],
			"{key}", p->key->key);

		argv_push(ret, line);
		explicit_bzero(line, strlen(line));
	}
}

static int
forward(struct call *c, struct http *http, struct err *err)
{
	CLEANUP_ARGV struct argv headers = ARGV_INIT;
	CLEANUP_FREE char *url = xasprintf("%s%s", c->p->key->api,
		c->w->target);
	struct http_stream q = { .method = c->w->method, .url = url,
		.headers = &headers, .gone = c->fd + 1, .head = on_head,
		.take = on_body, .arg = c };

	if (!strcmp(c->w->method, "POST"))
		q.body = &c->w->body;
	headers_for(c->p, c->w, &headers);
	if (http_stream(http, &q, err))
		return -1;
	return c->chunked ? put(c, "0\r\n\r\n", 5) : 0;
}

static void
tell(const struct call *c, int64_t began)
{
	CLEANUP_JSON struct json *line = json_object();
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_FREE char *path = xstrndup(c->w->target,
		strcspn(c->w->target, "?"));

	if (c->p->out < 0)
		return;
	json_put_int(line, "at", clock_wall());
	json_put_str(line, "method", c->w->method);
	json_put_str(line, "path", path);
	json_put_int(line, "status", c->status);
	json_put_int(line, "ms", clock_mono() - began);
	json_put_int(line, "sent", (int64_t)c->w->body.len);
	json_put_int(line, "got", c->got);
	json_put_int(line, "input_tokens", c->usage.input);
	json_put_int(line, "output_tokens", c->usage.output);
	json_write(line, &b);
	buf_addc(&b, '\n');
	if (write_all(c->p->out, b.s, b.len))
		return; /* nobody listens: the calls go on */
}

/* Before an answer was begun, one of ours; in its middle, an end. */
static void
refuse(struct call *c, int status, const struct err *why)
{
	CLEANUP_JSON struct json *body = json_object();
	struct json *error = json_object();
	CLEANUP_FREE char *text = NULL;
	struct err unused = ERR_INIT;

	if (c->status)
		return;
	c->status = status;
	json_put_str(error, "type", "forge_proxy_error");
	json_put_str(error, "message", why->msg);
	json_put_str(body, "type", "error");
	json_put(body, "error", error);
	text = json_text(body);
	if (web_answer(c->w, status, NULL, text, &unused))
		return; /* it did not wait for it */
}

/* False: the connection is over. */
static bool
serve_one(const struct proxy *p, struct http *http, int fd)
{
	struct web w;
	struct call c = { .p = p, .w = &w, .fd = fd };
	struct err err = ERR_INIT;
	int64_t began = clock_mono();
	bool ok = false;

	web_open(&w, false, fd, fd);
	if (web_head(&w, &err) || check(p, &w, &err)) {
		refuse(&c, w.status ? w.status : 400, &err);
	} else {
		ok = !forward(&c, http, &err);
		if (!ok)
			refuse(&c, 502, &err);
	}
	if (*w.method)
		tell(&c, began);
	ok = ok && !c.failed;
	web_close(&w);
	return ok;
}

static bool
more(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&p, 1, IDLE_MS) == 1 &&
		recv(fd, &byte, 1, MSG_PEEK) == 1;
}

void
proxy_serve(const struct proxy *p, int fd)
{
	struct http *http = NULL;
	struct err err = ERR_INIT;
	int one = 1;

	/* fails on a Unix socket, which does not need it */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (http_open(p->key->ca_file, &http, &err))
		return;
	while (more(fd) && serve_one(p, http, fd))
		;
	http_close(http);
}
