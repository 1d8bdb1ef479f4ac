/*
 * etag: what GitHub answered last, so that it need not say so again: a
 * conditional request that is answered with 304 costs nothing of the budget.
 *
 *	etag_get(db, key, &tag, &note, err)	both NULL: nothing is known
 *	github_get(gh, scope, path, tag, &reply, err)
 *	etag_put(db, key, reply.etag, note, err)
 *
 * Put it only after what the answer said is in the database: killed in
 * between, the next look asks again.  note is whatever the caller needs when
 * the answer is "not changed".
 */
#ifndef FORGE_RUNNER_ETAG_H
#define FORGE_RUNNER_ETAG_H

#include <stdint.h>
#include "lib/base/err.h"

struct db;

/* Caller frees both. */
int etag_get(struct db *db, const char *key, char **ret_tag, char **ret_note,
	struct err *err) __attribute__((warn_unused_result));
/* tag NULL: forget it. */
int etag_put(struct db *db, const char *key, const char *tag,
	const char *note, struct err *err) __attribute__((warn_unused_result));
/* Those that nobody asked for or put since that wall time. */
int etag_prune(struct db *db, int64_t before, struct err *err)
	__attribute__((warn_unused_result));

#endif
