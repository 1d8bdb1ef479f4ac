/*
 * twice: what may be done only when it was seen so twice, TWICE_AGE ms or
 * more apart, since what is just beginning or ending looks the same for a
 * moment.  The first sight is kept as an etag row (etag.h) of that key.
 */
#ifndef FORGE_RUNNER_TWICE_H
#define FORGE_RUNNER_TWICE_H

#include <stdbool.h>
#include "lib/base/err.h"

struct db;

enum { TWICE_AGE = 600000 };

/* *ret: it was seen before, long enough ago.  With dry set, only look. */
int twice_seen(struct db *db, const char *key, bool dry, bool *ret,
	struct err *err) __attribute__((warn_unused_result));
/* It looks well, or is done. */
int twice_forget(struct db *db, const char *key, struct err *err)
	__attribute__((warn_unused_result));

#endif
