/*
 * stop: end a runner from outside.
 */
#ifndef FORGE_RUNNER_STOP_H
#define FORGE_RUNNER_STOP_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

struct state;

/*
 * An idle runner is removed at GitHub first, so that no job can be given to
 * it, and then ended.  One that has a job is left alone with ERR_BUSY, unless
 * now is set: then its place is ended and the job with it.  Returns when its
 * supervisor is gone, at most wait_ms later (ERR_TIMEOUT).  A runner that is
 * done is success.
 */
int runner_stop(struct state *st, const char *name, bool now, int64_t wait_ms,
	struct err *err) __attribute__((warn_unused_result));

#endif
