/*
 * transcript: session/ID/log.ndjson, all that happened in a session: one
 * event a line, numbered from 1, append only.
 *
 *	{"seq":41,"at":1763690000123,"kind":"output","data":{"text":"..."}}
 *
 * Every line begins with {"seq":N, exactly so, which makes replaying cheap.
 * The kinds are in forge-provider(5).  A line is in the file before anybody
 * else hears of it.  Lines survive kill -9 of the writer at once, and a power
 * cut from transcript_sync() on.  There is one writer: the supervisor.
 *
 * A reader sees whole lines only:
 *
 *	transcript_follow(st, id, since, &r, err)
 *	for (;;) {
 *		while ((rc = transcript_next(r, &line, &n, err)) == 1)
 *			... n bytes with the newline, until the next call ...
 *		poll(transcript_fd(r)); transcript_clear(r);
 *	}
 *	transcript_close(r);
 */
#ifndef FORGE_SESSION_TRANSCRIPT_H
#define FORGE_SESSION_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

/* ---- the writer ---- */

struct transcript {
	int fd; /* -1: not open */
	int64_t seq; /* of the last line */
	int64_t size; /* bytes */
};
#define TRANSCRIPT_INIT ((struct transcript){ .fd = -1 })

/*
 * Open to go on after the last whole line; what a writer that was killed
 * left of one is cut off.  The directories are made.
 */
int transcript_open(struct state *st, const char *id, struct transcript *t,
	struct err *err) __attribute__((warn_unused_result));
/*
 * One line more; data (or NULL) is taken over.  line, or NULL, gets the line
 * with its newline.
 */
int transcript_add(struct transcript *t, const char *kind, struct json *data,
	struct buf *line, struct err *err) __attribute__((warn_unused_result));
int transcript_sync(struct transcript *t, struct err *err)
	__attribute__((warn_unused_result));
void transcript_release(struct transcript *t);

/* ---- readers ---- */

struct transcript_reader;

/*
 * Lines with seq > since.  A session whose log is not there yet is followed
 * all the same.  transcript_read() follows nothing: it has no fd.
 */
int transcript_read(struct state *st, const char *id, int64_t since,
	struct transcript_reader **ret, struct err *err)
	__attribute__((warn_unused_result));
int transcript_follow(struct state *st, const char *id, int64_t since,
	struct transcript_reader **ret, struct err *err)
	__attribute__((warn_unused_result));
/* 1 a line, 0 none for now, -1. */
int transcript_next(struct transcript_reader *r, const char **ret_line,
	size_t *ret_n, struct err *err) __attribute__((warn_unused_result));
/*
 * As many lines at once as are at hand, for those who only copy them.
 * Likewise.
 */
int transcript_lines(struct transcript_reader *r, const char **ret_lines,
	size_t *ret_n, struct err *err) __attribute__((warn_unused_result));
/* Readable when there may be more; the same rules as event_watch_open(). */
int transcript_fd(const struct transcript_reader *r);
void transcript_clear(struct transcript_reader *r);
void transcript_close(struct transcript_reader *r);
void cleanup_transcript(struct transcript_reader **r);
#define CLEANUP_TRANSCRIPT __attribute__((cleanup(cleanup_transcript)))

/* The number of a line that begins as lines do; 0 when it does not. */
int64_t transcript_seq(const char *line, size_t n);

#endif
