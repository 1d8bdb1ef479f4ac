#include "lib/net/web.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

void
web_open(struct web *w, bool cgi, int in, int out)
{
	*w = (struct web){ .in = in, .out = out, .cgi = cgi,
		.deadline = clock_mono() + WEB_WAIT_MS,
		.method = xstrdup(""), .target = xstrdup(""), .headers = ARGV_INIT,
		.body = BUF_INIT };
}

void
web_close(struct web *w)
{
	free(w->method);
	free(w->target);
	argv_release(&w->headers);
	buf_release(&w->body);
	w->method = w->target = NULL;
}

static int
refuse(struct web *w, int status, struct err *err, const char *why)
{
	w->status = status;
	return err_set(err, status == 413 || status == 431 ? ERR_LIMIT :
			status == 408 ? ERR_TIMEOUT : ERR_INVALID, "%s", why);
}

/* ---- headers ---- */

static const char *
cgi_header(const char *name)
{
	CLEANUP_FREE char *var = xasprintf("HTTP_%s", name);
	const char *value;
	char *p;

	for (p = var; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	value = getenv(var);
	/* the two that CGI names without HTTP_ */
	if (!strcmp(var, "HTTP_CONTENT_TYPE") ||
		!strcmp(var, "HTTP_CONTENT_LENGTH"))
		value = getenv(var + strlen("HTTP_"));
	return value && *value ? value : NULL;
}

const char *
web_header(const struct web *w, const char *name)
{
	size_t i;

	if (w->cgi)
		return cgi_header(name);
	for (i = 0; i + 1 < w->headers.n; i += 2)
		if (!strcasecmp(w->headers.v[i], name))
			return w->headers.v[i + 1];
	return NULL;
}

/* How many bytes of a token (RFC 9110) p begins with. */
static size_t
token(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) &&
			(!p[i] || !strchr("!#$%&'*+-.^_`|~", p[i])))
			break;
	return i;
}

static bool
has_control(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (((unsigned char)p[i] < ' ' && p[i] != '\t') ||
			p[i] == 0x7f)
			return true;
	return false;
}

static int
parse_request_line(struct web *w, const char *p, size_t n, struct err *err)
{
	size_t m = token(p, n);
	const char *target = p + m + 1, *end;
	size_t left;

	if (!m || m > 16 || m == n || p[m] != ' ')
		return refuse(w, 400, err, "no HTTP request");
	left = n - m - 1;
	end = memchr(target, ' ', left);
	if (!end || end == target || *target != '/' || has_control(p, n))
		return refuse(w, 400, err, "bad request line");
	free(w->target);
	w->target = xstrndup(target, (size_t)(end - target));
	left -= (size_t)(end - target);
	if (left != strlen(" HTTP/1.1") ||
		(memcmp(end, " HTTP/1.1", left) != 0 &&
			memcmp(end, " HTTP/1.0", left) != 0))
		return refuse(w, 505, err, "only HTTP/1.0 and 1.1");
	free(w->method);
	w->method = xstrndup(p, m);
	return 0;
}

/* Headers of which two would leave open what is meant. */
static bool
only_once(const char *name)
{
	static const char *const names[] = { "Content-Length", "Content-Type",
		"Host", "Transfer-Encoding", "X-GitHub-Delivery",
		"X-GitHub-Event", "X-Hub-Signature-256" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcasecmp(names[i], name))
			return true;
	return false;
}

static int
parse_header(struct web *w, const char *p, size_t n, struct err *err)
{
	CLEANUP_FREE char *name = NULL, *value = NULL;
	size_t m = token(p, n), from = m + 1, to = n;

	if (!m || m == n || p[m] != ':' || has_control(p, n))
		return refuse(w, 400, err, "bad header line");
	while (from < to && (p[from] == ' ' || p[from] == '\t'))
		from++;
	while (to > from && (p[to - 1] == ' ' || p[to - 1] == '\t'))
		to--;
	name = xstrndup(p, m);
	value = xstrndup(p + from, to - from);
	if (w->headers.n >= 2 * (size_t)WEB_HEADERS_MAX)
		return refuse(w, 431, err, "more than 100 headers");
	if (only_once(name) && web_header(w, name))
		return refuse(w, 400, err, "a header is there twice");
	argv_push(&w->headers, name);
	argv_push(&w->headers, value);
	return 0;
}

int
web_parse(struct web *w, const char *p, size_t n, struct err *err)
{
	const char *end = p + n, *line = p;
	bool first = true;

	while (line < end) {
		const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
		size_t len;

		if (!eol)
			return refuse(w, 400, err, "a line without CRLF");
		len = (size_t)(eol - line);
		if (!len && !first)
			return eol + 2 == end ? 0 :
				refuse(w, 400, err, "bytes after the headers");
		if (first ? parse_request_line(w, line, len, err) :
			    parse_header(w, line, len, err))
			return -1;
		first = false;
		line = eol + 2;
	}
	return refuse(w, 400, err, "the headers do not end");
}

/* ---- reading ---- */

/* One read into b, which then holds at most max; 0 at the end. */
static ssize_t
read_more(struct web *w, struct buf *b, size_t max, struct err *err)
{
	for (;;) {
		struct pollfd p = { .fd = w->in, .events = POLLIN };
		int rc = poll(&p, 1, clock_left(w->deadline));
		ssize_t n;

		if (rc == 0)
			return refuse(w, 408, err,
				"the request did not come within 10 s");
		n = rc < 0 ? -1 : buf_read_some(b, w->in, max);
		if (n >= 0)
			return n;
		if (errno != EINTR && errno != EAGAIN) {
			w->status = 400;
			return err_sys(err, "cannot read the request");
		}
	}
}

static int
read_head(struct web *w, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	for (;;) {
		size_t seen = b.len < 3 ? 0 : b.len - 3;
		ssize_t n = read_more(w, &b, WEB_HEAD_MAX, err);
		const char *end;
		size_t len;

		if (n < 0)
			return -1;
		end = memmem(b.s + seen, b.len - seen, "\r\n\r\n", 4);
		if (!end && b.len == WEB_HEAD_MAX)
			return refuse(w, 431, err, "more than 64 KiB of headers");
		if (!end && !n)
			return refuse(w, 400, err, "the headers do not end");
		if (!end)
			continue;
		len = (size_t)(end + 4 - b.s);
		if (web_parse(w, b.s, len, err))
			return -1;
		buf_add(&w->body, b.s + len, b.len - len);
		return 0;
	}
}

int
web_head(struct web *w, struct err *err)
{
	const char *method = getenv("REQUEST_METHOD");

	if (!w->cgi)
		return read_head(w, err);
	if (!method)
		return refuse(w, 400, err, "no REQUEST_METHOD");
	free(w->method);
	w->method = xstrdup(method);
	return 0;
}

static int
parse_length(struct web *w, const char *text, size_t max, size_t *ret,
	struct err *err)
{
	size_t digits = strspn(text, "0123456789"), n = 0, i;

	if (!digits || text[digits])
		return refuse(w, 400, err, "Content-Length is not a number");
	for (i = 0; i < digits && n <= max; i++)
		n = n * 10 + (size_t)(text[i] - '0');
	if (n > max)
		return refuse(w, 413, err, "the body is too large");
	*ret = n;
	return 0;
}

/* Clients with a large body may wait for this before they send it. */
static int
tell_continue(struct web *w, struct err *err)
{
	static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *expect = web_header(w, "Expect");

	if (w->cgi || !expect)
		return 0;
	if (strcasecmp(expect, "100-continue") != 0)
		return refuse(w, 417, err, "only 100-continue can be expected");
	if (write_all(w->out, go, strlen(go))) {
		w->status = 400;
		return err_sys(err, "cannot write to the client");
	}
	return 0;
}

/* A web server has undone the chunks but may not know the length. */
static int
read_to_end(struct web *w, size_t max, struct err *err)
{
	for (;;) {
		ssize_t n = read_more(w, &w->body, max + 1, err);

		if (n <= 0)
			return (int)n;
		if (w->body.len > max)
			return refuse(w, 413, err, "the body is too large");
	}
}

int
web_length(struct web *w, size_t max, struct err *err)
{
	const char *length = web_header(w, "Content-Length");
	const char *coding = web_header(w, "Transfer-Encoding");

	w->length = max;
	if (w->cgi && coding && !length)
		return 0;
	if (!length || (coding && !w->cgi))
		return refuse(w, 411, err, coding ?
			"send Content-Length, not Transfer-Encoding" :
			"Content-Length is missing");
	return parse_length(w, length, max, &w->length, err);
}

int
web_body(struct web *w, struct err *err)
{
	size_t n = w->length;

	if (w->cgi && !web_header(w, "Content-Length"))
		return read_to_end(w, n, err);
	if (w->body.len < n && tell_continue(w, err))
		return -1;
	if (w->body.len > n)
		buf_setlen(&w->body, n); /* pipelined: never answered */
	while (w->body.len < n) {
		ssize_t got = read_more(w, &w->body, n, err);

		if (got < 0)
			return -1;
		if (!got)
			return refuse(w, 400, err,
				"the body is shorter than Content-Length");
	}
	return 0;
}

/* ---- the answer ---- */

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = { { 200, "OK" }, { 202, "Accepted" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 411, "Length Required" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			return table[i].text;
	if (status == 403) /* these two are a proxy's */
		return "Forbidden";
	if (status == 502)
		return "Bad Gateway";
	BUG("status %d", status);
}

/* Closing with bytes unread would reset the connection under the answer. */
static void
linger(struct web *w)
{
	int64_t end = clock_mono() + 1000;
	char bin[16384];

	if (shutdown(w->out, SHUT_WR))
		return; /* not a socket */
	for (;;) {
		struct pollfd p = { .fd = w->in, .events = POLLIN };

		if (poll(&p, 1, clock_left(end)) <= 0 ||
			read(w->in, bin, sizeof(bin)) <= 0)
			return;
	}
}

int
web_reply(struct web *w, int status, const char *type, const char *header,
	const void *p, size_t n, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	buf_addf(&b, "%s %d %s\r\nContent-Type: %s\r\n"
		"Content-Length: %zu\r\nCache-Control: no-store\r\n",
		w->cgi ? "Status:" : "HTTP/1.1", status, reason(status), type,
		n);
	if (header)
		buf_addf(&b, "%s\r\n", header);
	if (!w->cgi)
		buf_adds(&b, "Connection: close\r\n");
	buf_adds(&b, "\r\n");
	if (strcmp(w->method, "HEAD") != 0)
		buf_add(&b, p, n);
	if (write_all(w->out, b.s, b.len))
		return err_sys(err, "cannot write the answer");
	if (!w->cgi)
		linger(w);
	return 0;
}

int
web_answer(struct web *w, int status, const char *header, const char *json,
	struct err *err)
{
	CLEANUP_FREE char *line = xasprintf("%s\n", json);

	return web_reply(w, status, "application/json", header, line,
		strlen(line), err);
}
