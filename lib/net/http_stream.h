/*
 * http_stream: a call whose answer is handed on as it comes, for servers
 * that take minutes and speak in events (SSE).
 *
 *	struct http_stream q = { .method = "POST", .url = url, ...,
 *		.head = on_head, .take = on_body, .arg = me };
 *	if (http_stream(http, &q, &err)) ...
 *
 * The rules are those of http.h, but there is no limit of time or size: who
 * calls gives up by q.gone or by a -1 of head() or take().
 */
#ifndef FORGE_NET_HTTP_STREAM_H
#define FORGE_NET_HTTP_STREAM_H

#include <stddef.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct http;

struct http_stream {
	const char *method;
	const char *url;
	const struct argv *headers; /* "Name: value"; NULL: none */
	const struct buf *body; /* NULL: none */
	int gone; /* 1 + a socket: give up when its other end is closed */
	/* Once, before the first take(); headers are "Name: value". */
	int (*head)(int status, const struct argv *headers, void *arg);
	int (*take)(const void *p, size_t n, void *arg);
	void *arg;
};

/*
 * ERR_NET: no answer, or not all of it; ERR_CANCELED; ERR_INVALID as for
 * http_call().  Whether head() was called tells how far it came.
 */
int http_stream(struct http *http, const struct http_stream *q,
	struct err *err) __attribute__((warn_unused_result));

#endif
