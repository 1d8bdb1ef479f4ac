/*
 * web: one HTTP request and its answer, as a CGI program (RFC 3875) or
 * straight on a connection that inetd or systemd hands over as stdin.
 *
 *	struct web w;
 *	web_open(&w, cgi, 0, 1);
 *	if (web_head(&w, &err) || web_length(&w, max, &err) ||
 *		web_body(&w, &err))
 *		web_answer(&w, w.status, NULL, "{\"error\":...}")
 *	... w.method, web_header(&w, "X-Thing"), w.body ...
 *	web_answer(&w, 202, NULL, "{}");
 *	web_close(&w);
 *
 * What a client may not do makes these fail with ERR_INVALID (ERR_LIMIT,
 * ERR_TIMEOUT where those are meant), a message fit for the client, and
 * w.status the status to refuse it with.
 *
 * On a connection: HTTP/1.0 and 1.1, at most 64 KiB and 100 headers before
 * the body, lines end in CRLF, a header is not continued or repeated where
 * that changes the meaning, the body has a Content-Length.  One request, then
 * the connection closes.  Everything must have come within 10 s.
 */
#ifndef FORGE_NET_WEB_H
#define FORGE_NET_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct web {
	int in, out; /* borrowed */
	bool cgi;
	int64_t deadline; /* clock_mono() */
	char *method; /* "" until web_head() */
	char *target; /* "/path?query"; likewise; not for CGI */
	struct argv headers; /* name, value, name, ...; not for CGI */
	struct buf body;
	size_t length; /* of the body, at most; set by web_length() */
	int status; /* why one of the functions below failed */
};

enum { WEB_HEAD_MAX = 65536, WEB_HEADERS_MAX = 100, WEB_WAIT_MS = 10000 };

void web_open(struct web *w, bool cgi, int in, int out);
void web_close(struct web *w);

int web_head(struct web *w, struct err *err)
	__attribute__((warn_unused_result));
/* How long will the body be?  411 not told, 413 more than max bytes. */
int web_length(struct web *w, size_t max, struct err *err)
	__attribute__((warn_unused_result));
/* After web_length(). */
int web_body(struct web *w, struct err *err)
	__attribute__((warn_unused_result));

/* NULL: not sent.  Any case; borrowed. */
const char *web_header(const struct web *w, const char *name);

/*
 * The answer, JSON text without a newline.  header: one more "Name: value",
 * or NULL.  Then the connection ends, after what the client still sends was
 * read for a second at most, so that it gets to read the answer.
 */
int web_answer(struct web *w, int status, const char *header,
	const char *json, struct err *err)
	__attribute__((warn_unused_result));

/* The same with n bytes of another type. */
int web_reply(struct web *w, int status, const char *type, const char *header,
	const void *p, size_t n, struct err *err)
	__attribute__((warn_unused_result));

/* For web_head() and tests: n bytes up to and with the empty line. */
int web_parse(struct web *w, const char *p, size_t n, struct err *err)
	__attribute__((warn_unused_result));

#endif
