/*
 * http: calls to web servers, one at a time, over kept connections.
 *
 *	struct http *http;
 *	if (http_open(ca_file, &http, err)) return -1;
 *	struct http_request q = { .method = "GET", .url = url, .max = 1 << 20 };
 *	struct http_answer a = HTTP_ANSWER_INIT;
 *	if (http_call(http, &q, &a, err)) ...	no answer came
 *	... a.status, a.body ...
 *	http_answer_release(&a);
 *	http_close(http);
 *
 * Servers are verified. http:// is for loopback only, and goes past any
 * proxy; https:// goes through the one of $HTTPS_PROXY. Redirects are
 * answers like others. Limits: 10 s to connect, 30 s in all, q.max bytes of
 * answer. Neither headers nor bodies get into an error's text.
 */
#ifndef FORGE_NET_HTTP_H
#define FORGE_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct http;

/* ca_file: certificates to trust instead of the system's; NULL: those. */
int http_open(const char *ca_file, struct http **ret, struct err *err)
	__attribute__((warn_unused_result));
/* NULL is nothing to close. */
void http_close(struct http *http);

struct http_request {
	const char *method;
	const char *url;
	const struct argv *headers; /* "Name: value"; NULL: none */
	const struct buf *body; /* NULL: none */
	size_t max; /* bytes of the answer's body */
	long timeout_ms; /* for all of it; 0: 30 s */
	/*
	 * On a connection of its own.  libcurl repeats a call by itself when a
	 * kept connection turns out to be dead, although the server may have
	 * acted on it: for what must not happen twice.
	 */
	bool once;
	int cancel; /* 1 + an fd: give up when it is readable; 0: none */
};

struct http_answer {
	int status;
	struct buf body;
	char *etag, *link; /* NULL: not there */
	int64_t retry_after; /* seconds; 0: not there */
	int64_t limit, remaining, reset; /* x-ratelimit-; -1: not there */
	char *resource; /* x-ratelimit-resource */
	int64_t date; /* the server's clock, s since 1970; 0: not there */
	bool sent; /* also without an answer: the server may have acted */
};

#define HTTP_ANSWER_INIT \
	((struct http_answer){ .body = BUF_INIT, .limit = -1, \
		.remaining = -1, .reset = -1 })
#define CLEANUP_ANSWER __attribute__((cleanup(http_answer_release)))
void http_answer_release(struct http_answer *a);

/*
 * Whatever the status is: an answer is success. What was in *ret is
 * replaced. ERR_NET: none came, or not all of it (whether the server acted
 * is unknown then); ERR_CANCELED; ERR_INVALID: it is larger than max, or the URL is one
 * that may not be called.
 */
int http_call(struct http *http, const struct http_request *q,
	struct http_answer *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Can this base URL be called? ERR_INVALID with what is wrong. */
int http_check_url(const char *url, struct err *err)
	__attribute__((warn_unused_result));
/* s as part of a URL: all but A-Z a-z 0-9 - . _ ~ becomes %XX. */
void http_escape(struct buf *out, const char *s);

#endif
