/*
 * format: lines of a transcript in another form, by a jq program;
 * forge-format(5) describes them.
 *
 *	format_open(st, "ag-ui", &session, &f, err)
 *	format_lines(f, lines, n, &out, err)	as they come
 *	format_end(f, &session, &out, err)	what is open is closed
 *	format_free(f)
 *
 * The program NAME.jq is looked for in STATE/formats, in /etc/forge/formats
 * and among those that come with forge.  "ndjson" is the lines themselves.
 *
 * Text for people ({"text": ...}) is masked: nothing that an agent says
 * steers a terminal.
 */
#ifndef FORGE_SESSION_FORMAT_H
#define FORGE_SESSION_FORMAT_H

#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;
struct session;
struct format;

/* ERR_NOTFOUND names those there are; ERR_INVALID: it does not compile. */
int format_open(struct state *st, const char *name,
	const struct session *session, struct format **ret, struct err *err)
	__attribute__((warn_unused_result));
void format_free(struct format *f);

/*
 * Whole lines; what they become is added to out.  ERR_INVALID: the program
 * fails, with the number of the line.
 */
int format_lines(struct format *f, const char *lines, size_t n,
	struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* The last call: session is its row now. */
int format_end(struct format *f, const struct session *session,
	struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
