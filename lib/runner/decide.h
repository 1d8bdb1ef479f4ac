/*
 * decide: how many runners each pool should start now.  A pure function: no
 * clock, no state, no configuration is read here; fleet.c brings them.
 *
 * GitHub gives a job to any idle runner whose labels fit, so jobs and runners
 * are never tied to one another: what is compared are counts.  A queued job
 * counts for the first pool, by priority, that serves it and has room; a pool
 * then wants
 *	queued + min_idle - (runners that are starting or idle)
 * more, at most max - (all its runners), none while it backs off after
 * failures, and all pools together at most what the host has room for.  When
 * that room is short, higher priority goes first and equals take turns, the
 * one with the fewest runners first.
 */
#ifndef FORGE_RUNNER_DECIDE_H
#define FORGE_RUNNER_DECIDE_H

#include <stdint.h>
#include "lib/runner/pool.h"

/* Queued jobs that nobody can tell apart. */
struct demand {
	const char *repo; /* "owner/name" */
	const char *enterprise; /* or NULL */
	const struct argv *labels; /* lower case, sorted */
	int count;
};

/* What a pool has; in the order of the pools. */
struct supply {
	int starting; /* not yet registered */
	int idle;
	int busy;
	int ending;
	int failures; /* in a row, the last ones */
	int64_t failed_at; /* wall ms of the last */
};

enum verdict {
	VERDICT_ENOUGH, /* nothing to do */
	VERDICT_START,
	VERDICT_FULL, /* wants more, but is at its max */
	VERDICT_HOST_FULL,
	VERDICT_BACKOFF, /* wants more, but the last ones failed */
	VERDICT__MAX
};
const char *verdict_name(enum verdict v);

struct decision {
	int queued; /* jobs counted for this pool */
	int start; /* runners to start now */
	enum verdict verdict; /* why not more */
	int64_t retry_at; /* wall ms the back-off ends; 0 */
};

struct decide {
	const struct pool *pools;
	const struct supply *supply;
	size_t npools;
	const struct demand *demand; /* oldest first */
	size_t ndemand;
	int64_t now; /* wall ms */
	int host_room; /* runners the host can still take; -1: no limit */
};

/*
 * Fills decisions[npools].  Returns how many queued jobs no pool serves.
 * Linear in ndemand * npools; label sets are parsed by the caller's pools.
 */
int decide(const struct decide *in, struct decision *decisions);

/* Does a pool's scope and one of its label sets cover this demand? */
bool pool_serves(const struct pool *pool, const struct demand *d);

#endif
