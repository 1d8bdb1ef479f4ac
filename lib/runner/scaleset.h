/*
 * scaleset: demand by long poll, from GitHub's Actions service: a pool with
 * scale-set = NAME is served by the runner scale set of that name, which
 * keeps the jobs in a queue of its own.  No inbound port, no webhook and no
 * polling of repositories is needed.
 *
 * The protocol is that of actions/scaleset: a registration token of the REST
 * API opens a connection to the Actions service; there the set is found or
 * made; one session a set reads messages, acquires jobs, and has each message
 * deleted when what it said is in the table job.  Runners of a set get their
 * JIT configuration there, too.
 *
 * A job of a set has the id SCALESET_JOBS plus its request id, for messages
 * do not tell the job's own, and the one label "scale-set:NAME", so that the
 * same decision serves it.
 */
#ifndef FORGE_RUNNER_SCALESET_H
#define FORGE_RUNNER_SCALESET_H

#include <stdint.h>
#include "lib/base/err.h"

struct github;
struct pool;
struct state;

#define SCALESET_JOBS (INT64_C(1) << 52)

/*
 * Serve the pool until stop, an fd that is borrowed, becomes readable.  What
 * fails is logged and tried again, with growing pauses up to a minute; a
 * session of somebody else is waited for.  -1: the lock run/scaleset/POOL is
 * held (ERR_BUSY), the pool has no scale-set (ERR_INVALID), or the
 * configuration is wrong.
 */
int scaleset_serve(struct state *st, const char *name, int stop,
	struct err *err) __attribute__((warn_unused_result));

/* As github_jit(), for a runner of the pool's set. */
int scaleset_jit(struct state *st, struct github *gh, const struct pool *pool,
	const char *name, int64_t *ret_id, char **ret_jit, struct err *err)
	__attribute__((warn_unused_result));

#endif
