/*
 * follow: read a transcript to its end, or until the session is over.
 */
#ifndef FORGE_SESSION_FOLLOW_H
#define FORGE_SESSION_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct state;

/*
 * Something else that is waited for meanwhile: ready() is called when fd is
 * readable; non-zero stops and is returned.  It may set fd to -1.
 */
struct follow_input {
	int fd;
	int (*ready)(struct follow_input *in, struct err *err);
	void *arg;
};

/*
 * Whole lines with seq > since, as many at once as are at hand, go to emit; a
 * non-zero return of it stops and is returned.  With follow it goes on until
 * the session is over and all of its lines were given.  in may be NULL.
 */
int session_follow(struct state *st, const char *id, int64_t since,
	bool follow,
	int (*emit)(const char *lines, size_t n, void *arg, struct err *err),
	void *arg, struct follow_input *in, struct err *err)
	__attribute__((warn_unused_result));

#endif
