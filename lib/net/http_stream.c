#include "lib/net/http_stream.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/http_internal.h"
#include "lib/base/banned.h"

struct stream {
	struct http *http;
	const struct http_stream *q;
	struct argv headers;
	size_t bytes; /* of headers */
	bool headed, stopped;
};

static size_t
take_header(char *p, size_t size, size_t n, void *arg)
{
	struct stream *s = arg;

	n *= size;
	s->bytes += n;
	if (s->bytes > HTTP_HEADERS_MAX)
		return 0;
	/* A status line begins anew: what came was of an interim answer. */
	if (n > 5 && !strncmp(p, "HTTP/", 5)) {
		argv_release(&s->headers);
		return n;
	}
	if (n && memchr(p, ':', n) && !memchr(p, '\0', n)) {
		CLEANUP_FREE char *line = xstrndup(p, n);

		line[strcspn(line, "\r\n")] = '\0';
		argv_push(&s->headers, line);
	}
	return n;
}

static int
give_head(struct stream *s)
{
	long status = 0;

	if (s->headed)
		return 0;
	s->headed = true;
	if (curl_easy_getinfo(s->http->curl, CURLINFO_RESPONSE_CODE, &status))
		status = 0;
	return s->q->head((int)status, &s->headers, s->q->arg);
}

static size_t
take_body(char *p, size_t size, size_t n, void *arg)
{
	struct stream *s = arg;

	n *= size;
	if (give_head(s) || s->q->take(p, n, s->q->arg)) {
		s->stopped = true;
		return 0;
	}
	return n;
}

/* libcurl asks about once a second. */
static int
gone(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct stream *s = arg;
	struct pollfd p = { .fd = s->q->gone - 1, .events = POLLRDHUP };

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	s->stopped |= s->q->gone && poll(&p, 1, 0) == 1;
	return s->stopped;
}

static bool
set_call(struct stream *s, struct curl_slist *headers)
{
	CURL *c = s->http->curl;
	const struct http_stream *q = s->q;

	if (curl_easy_setopt(c, CURLOPT_URL, q->url) ||
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method) ||
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) ||
		curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L) ||
		curl_easy_setopt(c, CURLOPT_NOBODY,
			(long)!strcmp(q->method, "HEAD")) ||
		curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L) ||
		curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) ||
		curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, gone) ||
		curl_easy_setopt(c, CURLOPT_XFERINFODATA, s) ||
		curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header) ||
		curl_easy_setopt(c, CURLOPT_HEADERDATA, s) ||
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) ||
		curl_easy_setopt(c, CURLOPT_WRITEDATA, s))
		return false;
	return !q->body || (!curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)q->body->len) &&
		!curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body->s));
}

static int
perform(struct stream *s, struct err *err)
{
	CURLcode code = curl_easy_perform(s->http->curl);

	if (!code && !give_head(s))
		return 0;
	if (s->stopped || !code)
		return err_set(err, ERR_CANCELED,
			"stopped while '%s' was answering", s->q->url);
	if (s->bytes > HTTP_HEADERS_MAX)
		return err_set(err, ERR_INVALID,
			"the headers of '%s' are larger than %d bytes",
			s->q->url, HTTP_HEADERS_MAX);
	return err_set(err, ERR_NET, "no answer of '%s': %s", s->q->url,
		s->http->why[0] ? s->http->why : curl_easy_strerror(code));
}

int
http_stream(struct http *http, const struct http_stream *q, struct err *err)
{
	CLEANUP(http_slist_free) struct curl_slist *headers = NULL;
	struct stream s = { .http = http, .q = q, .headers = ARGV_INIT };
	bool plain;
	int rc;

	http->why[0] = '\0';
	if (http_look_at_url(q->url, &plain, err) ||
		http_headers(q->headers, &headers, err))
		return -1;
	if (!http_rules(http, plain) || !set_call(&s, headers))
		return err_set(err, ERR_SYS, "libcurl is too old");
	rc = perform(&s, err);
	argv_release(&s.headers);
	return rc;
}
