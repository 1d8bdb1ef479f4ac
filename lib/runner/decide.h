/*
 * decide: how many runners each pool should start now, and how many it should
 * give up.  A pure function: no clock, no state, no configuration is read
 * here; fleet.c brings them.
 *
 * GitHub gives a job to any idle runner whose labels fit, so jobs and runners
 * are never tied to one another: what is compared are counts.
 *
 *  1. Queued jobs are set against the runners that start or are idle: those
 *     with many labels first, and each against the runner with the fewest
 *     that will do.
 *  2. What is left takes its turn at what the caps leave: a pool's max, a
 *     repository's max, the host's VMs, processors and memory.  A job takes
 *     the first pool, by priority, that serves it and has room.  Of the jobs,
 *     higher priority goes first; then the pool, then the repository with the
 *     fewest runners for its weight; then the oldest.  A pool, or repository,
 *     without any runner gains a point of priority for each `ageing` that its
 *     oldest job waits, so none starves.  A job that the host is too full for
 *     lets smaller ones pass only for 5 `ageing`: then the room is kept for
 *     it.
 *  3. min_idle is filled with what is left over.
 *  4. Runners without a job that nobody waits for, beyond min_idle, are
 *     surplus.  So are those of min_idle that stand in the way of a job that
 *     they cannot run.
 *
 * A pool that backs off after failures takes no part in 2 and 3.
 */
#ifndef FORGE_RUNNER_DECIDE_H
#define FORGE_RUNNER_DECIDE_H

#include <stdint.h>
#include "lib/runner/pool.h"
#include "lib/runner/shape.h"

#define NO_LIMIT INT64_MAX

struct repo {
	const char *name; /* "owner/name" */
	int busy; /* runners that run its jobs */
	int max; /* -1: no limit */
	int weight; /* at least 1 */
};

/* Queued jobs that nobody can tell apart. */
struct demand {
	const char *repo; /* "owner/name" */
	size_t repo_at; /* in decide.repos */
	const char *enterprise; /* or NULL */
	const struct argv *labels; /* lower case, sorted */
	int count;
	int64_t since; /* wall ms: the oldest */
};

/* What a pool has in all, and how it fares; in the order of the pools. */
struct supply {
	int starting; /* not yet registered */
	int idle;
	int busy;
	int ending;
	int failures; /* in a row, the last ones */
	int64_t failed_at; /* wall ms of the last */
	const char *version; /* of its last listener that told, or NULL */
	int64_t version_at; /* wall ms of that one's end */
	int64_t barred_until; /* wall ms: start none before; 0: may start */
};

/* Of them, those that start or are idle, with the same labels. */
struct crew {
	size_t pool;
	const struct argv *labels; /* as registered: lower case, sorted */
	int ready; /* starting + idle */
	int spare; /* of them, those that may be given up */
	/* More, that ended with a job of which we have not heard yet: one that
	 * seems queued since before then is not. */
	int ghosts;
	int64_t ghosts_at; /* wall ms: the last end */
};

/* What the host can take: VMs count everywhere, the rest only place vm:. */
struct room {
	int64_t vms;
	int64_t cpus;
	int64_t memory; /* bytes */
};

enum verdict {
	VERDICT_ENOUGH, /* nothing to do */
	VERDICT_START,
	VERDICT_FULL, /* wants more, but is at its max */
	VERDICT_REPO_FULL, /* ... but the repository is at its */
	VERDICT_HOST_FULL,
	VERDICT_BACKOFF, /* wants more, but the last ones failed */
	VERDICT_BARRED, /* ... but its runner is too old for GitHub */
	VERDICT_AGENTS_FULL, /* ... but such agents are full or away */
	VERDICT__MAX
};
const char *verdict_name(enum verdict v);

struct decision {
	int queued; /* jobs counted for this pool */
	int start; /* runners to start now, all kinds */
	int remove; /* runners to give up */
	enum verdict verdict; /* why not more */
	int64_t retry_at; /* wall ms the back-off ends; 0 */
};

/* Runners to start that are alike. */
struct start {
	size_t pool;
	struct argv labels; /* to register */
	struct shape shape; /* image is borrowed from the pool */
	int count;
};

struct decide {
	const struct pool *pools;
	const struct supply *supply;
	size_t npools;
	const struct crew *crews; /* by pool, ascending */
	size_t ncrews;
	const struct repo *repos;
	size_t nrepos;
	const struct demand *demand;
	size_t ndemand;
	int64_t now; /* wall ms */
	int64_t ageing; /* ms; 0: priority is strict */
	struct room room; /* what is left; NO_LIMIT */
	struct room whole; /* what there is when all is idle; NO_LIMIT */
};

struct plan {
	struct decision *pools; /* in the order of the pools */
	int *remove; /* of each crew */
	struct start *starts;
	size_t nstarts;
	int unserved; /* queued jobs that no pool serves */
};
#define PLAN_INIT ((struct plan){ 0 })
void plan_release(struct plan *p);

/*
 * *ret must be released.  Time: n log n in the pools, demands and runners to
 * start, where pools of one scope are few; at most demands times the pools
 * and crews of their scopes.
 */
void decide(const struct decide *in, struct plan *ret);

/* Do a pool's scope, one of its label sets and what it allows cover this
 * demand?  Which set: *ret_set. */
bool pool_serves(const struct pool *pool, const struct demand *d,
	size_t *ret_set) __attribute__((warn_unused_result));

#endif
