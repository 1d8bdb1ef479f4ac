#include "lib/net/http.h"

#include <ctype.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <curl/curl.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/net/http_internal.h"
#include "lib/base/banned.h"

#define CONNECT_MS 10000L
#define TOTAL_MS 30000L

/* One call while it runs. */
struct call {
	struct http_answer *answer;
	size_t max;
	size_t headers; /* bytes so far */
	bool too_large, headers_too_large;
};

void
http_slist_free(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void
cleanup_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void
cleanup_part(char **part)
{
	curl_free(*part);
}

void
http_answer_release(struct http_answer *a)
{
	explicit_bzero(a->body.s, a->body.len);
	buf_release(&a->body);
	free(a->etag);
	free(a->link);
	free(a->resource);
	*a = HTTP_ANSWER_INIT;
}

void
http_escape(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (isascii(*s) && (isalnum(*s) || strchr("-._~", *s)))
			buf_addc(out, *s);
		else
			buf_addf(out, "%%%02X", (unsigned char)*s);
	}
}

static bool
loopback(const char *host)
{
	return !strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
		(!strncmp(host, "127.", 4) &&
			strspn(host, "0123456789.") == strlen(host));
}

int
http_look_at_url(const char *text, bool *ret_plain, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = curl_url();
	CLEANUP(cleanup_part) char *scheme = NULL;
	CLEANUP(cleanup_part) char *host = NULL;
	CLEANUP(cleanup_part) char *user = NULL;

	if (!url || curl_url_set(url, CURLUPART_URL, text, 0) ||
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
		curl_url_get(url, CURLUPART_HOST, &host, 0))
		return err_set(err, ERR_INVALID,
			"not a URL of the form https://HOST/...");
	if (!curl_url_get(url, CURLUPART_USER, &user, 0))
		return err_set(err, ERR_INVALID,
			"a URL with a user or password in it");
	*ret_plain = !strcmp(scheme, "http");
	if (*ret_plain && !loopback(host))
		return err_set(err, ERR_INVALID,
			"'http://%s' would send secrets in the clear: use "
			"https", host);
	if (!*ret_plain && strcmp(scheme, "https") != 0)
		return err_set(err, ERR_INVALID, "'%s://' is not https",
			scheme);
	return 0;
}

int
http_check_url(const char *url, struct err *err)
{
	bool plain;

	return http_look_at_url(url, &plain, err);
}

static size_t
take_body(char *p, size_t size, size_t n, void *arg)
{
	struct call *call = arg;
	struct buf *b = &call->answer->body;

	n *= size;
	if (n > call->max - b->len) {
		call->too_large = true;
		return 0;
	}
	buf_add(b, p, n);
	return n;
}

/* The value when the header line p has this name; caller frees. */
static char *
value_of(const char *p, size_t n, const char *name)
{
	size_t len = strlen(name);

	if (n <= len || p[len] != ':' || strncasecmp(p, name, len) != 0)
		return NULL;
	for (p += len + 1, n -= len + 1; n && isspace((unsigned char)*p); n--)
		p++;
	while (n && isspace((unsigned char)p[n - 1]))
		n--;
	return xstrndup(p, n);
}

static void
take_number(const char *p, size_t n, const char *name, int64_t *ret)
{
	CLEANUP_FREE char *value = value_of(p, n, name);
	struct err unused = ERR_INIT;

	if (value && parse_i64(value, 0, INT64_MAX / 1000, name, ret, &unused))
		*ret = -1;
}

static void
take_text(const char *p, size_t n, const char *name, char **ret)
{
	char *value = value_of(p, n, name);

	if (!value)
		return;
	/* http_answer_release() resets what it frees, which is not seen: */
	free(*ret); /* NOLINT(clang-analyzer-unix.Malloc) */
	*ret = value;
}

static void
take_date(const char *p, size_t n, int64_t *ret)
{
	CLEANUP_FREE char *value = value_of(p, n, "date");
	time_t t = value ? curl_getdate(value, NULL) : -1;

	if (t > 0)
		*ret = t;
}

static size_t
take_header(char *p, size_t size, size_t n, void *arg)
{
	struct call *call = arg;
	struct http_answer *a = call->answer;

	n *= size;
	call->headers += n;
	if (call->headers > HTTP_HEADERS_MAX) {
		call->headers_too_large = true;
		return 0;
	}
	/* A status line begins anew: what came was of an interim answer. */
	if (n > 5 && !strncmp(p, "HTTP/", 5))
		http_answer_release(a);
	take_number(p, n, "x-ratelimit-limit", &a->limit);
	take_number(p, n, "x-ratelimit-remaining", &a->remaining);
	take_number(p, n, "x-ratelimit-reset", &a->reset);
	take_text(p, n, "etag", &a->etag);
	take_text(p, n, "link", &a->link);
	take_text(p, n, "x-ratelimit-resource", &a->resource);
	take_date(p, n, &a->date);
	return n;
}

/* curl_global_init() costs milliseconds: only who calls somebody pays. */
static bool
start_curl(void)
{
	static bool started;

	if (!started)
		started = !curl_global_init(CURL_GLOBAL_DEFAULT);
	return started;
}

int
http_open(const char *ca_file, struct http **ret, struct err *err)
{
	struct http *http;
	CURL *curl = start_curl() ? curl_easy_init() : NULL;

	if (!curl)
		return err_set(err, ERR_SYS, "libcurl does not start");
	http = xcalloc(1, sizeof(*http));
	http->curl = curl;
	http->ca_file = xstrdup_null(ca_file);
	*ret = http;
	return 0;
}

void
http_close(struct http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->curl);
	free(http->ca_file);
	free(http);
}

/*
 * All that holds for every call. CURLOPT_NOSIGNAL stays off: only so does
 * libcurl ignore SIGPIPE, which is at its default in our programs.
 */
bool
http_rules(struct http *http, bool plain)
{
	CURL *c = http->curl;

	curl_easy_reset(c); /* keeps the connections */
	return !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->why) &&
		!curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR,
			plain ? "http" : "https") &&
		!curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) &&
		!curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) &&
		!curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) &&
		!curl_easy_setopt(c, CURLOPT_SSLVERSION,
			(long)CURL_SSLVERSION_TLSv1_2) &&
		!curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
		!curl_easy_setopt(c, CURLOPT_USERAGENT,
			"forge/" FORGE_VERSION) &&
		(!plain || !curl_easy_setopt(c, CURLOPT_PROXY, "")) &&
		(!http->ca_file || !curl_easy_setopt(c, CURLOPT_CAINFO,
			http->ca_file));
}

static bool
set_request(struct http *http, const struct http_request *q,
	struct curl_slist *headers)
{
	CURL *c = http->curl;

	if (curl_easy_setopt(c, CURLOPT_URL, q->url) ||
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
			q->timeout_ms ? q->timeout_ms : TOTAL_MS) ||
		curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, (long)q->once) ||
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method) ||
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers))
		return false;
	return !q->body || (!curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)q->body->len) &&
		!curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body->s));
}

/* libcurl asks about once a second. */
static int
canceled(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http_request *q = arg;
	struct pollfd p = { .fd = q->cancel - 1, .events = POLLIN };

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return poll(&p, 1, 0) == 1;
}

static bool
set_cancel(struct http *http, const struct http_request *q)
{
	CURL *c = http->curl;

	return !q->cancel ||
		(!curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) &&
			!curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION,
				canceled) &&
			!curl_easy_setopt(c, CURLOPT_XFERINFODATA, q));
}

static bool
set_call(struct http *http, struct call *call)
{
	CURL *c = http->curl;

	return !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) &&
		!curl_easy_setopt(c, CURLOPT_WRITEDATA, call) &&
		!curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header) &&
		!curl_easy_setopt(c, CURLOPT_HEADERDATA, call);
}

int
http_headers(const struct argv *list, struct curl_slist **ret, struct err *err)
{
	struct curl_slist *more;
	size_t i;

	for (i = 0; list && i < list->n; i++) {
		more = curl_slist_append(*ret, list->v[i]);
		if (!more)
			return err_set(err, ERR_SYS, "out of memory");
		*ret = more;
	}
	return 0;
}

static int
failed(struct http *http, const struct http_request *q, CURLcode code,
	const struct call *call, struct err *err)
{
	const char *why = http->why[0] ? http->why : curl_easy_strerror(code);

	if (call->too_large)
		return err_set(err, ERR_INVALID,
			"the answer of '%s' is larger than %zu bytes", q->url,
			call->max);
	if (call->headers_too_large)
		return err_set(err, ERR_INVALID,
			"the headers of '%s' are larger than %d bytes", q->url,
			HTTP_HEADERS_MAX);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return err_set(err, ERR_CANCELED, "stopped while '%s' had not "
			"answered", q->url);
	/* A certificate file of ours, not the server, is at fault. */
	if (code == CURLE_SSL_CACERT_BADFILE)
		return err_set(err, ERR_INVALID,
			"cannot use the certificates of '%s'",
			http->ca_file ? http->ca_file : "the system");
	return err_set(err, ERR_NET, "no answer of '%s': %s", q->url, why);
}

int
http_call(struct http *http, const struct http_request *q,
	struct http_answer *ret, struct err *err)
{
	CLEANUP(http_slist_free) struct curl_slist *headers = NULL;
	struct call call = { .answer = ret, .max = q->max };
	curl_off_t after = 0;
	long status = 0, bytes = 0;
	CURLcode code;
	bool plain;

	http_answer_release(ret);
	http->why[0] = '\0';
	if (http_look_at_url(q->url, &plain, err) ||
		http_headers(q->headers, &headers, err))
		return -1;
	if (!http_rules(http, plain) || !set_request(http, q, headers) ||
		!set_call(http, &call) || !set_cancel(http, q))
		return err_set(err, ERR_SYS, "libcurl is too old");
	code = curl_easy_perform(http->curl);
	ret->sent = curl_easy_getinfo(http->curl, CURLINFO_REQUEST_SIZE,
		&bytes) || bytes > 0;
	if (code)
		return failed(http, q, code, &call, err);
	if (!curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status))
		ret->status = (int)status;
	if (!curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &after))
		ret->retry_after = after > 0 ? after : 0;
	return 0;
}
