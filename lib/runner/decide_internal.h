/*
 * decide_internal: what the steps of a decision share; for decide*.c only.
 *
 *	decide.c		the whole
 *	decide_match.c		1: jobs against runners
 *	decide_serve.c		2: those that wait against what the caps leave
 *	decide_reserve.c	3 and 4: runners to keep ready, those too many
 */
#ifndef FORGE_RUNNER_DECIDE_INTERNAL_H
#define FORGE_RUNNER_DECIDE_INTERNAL_H

#include "lib/runner/decide.h"
#include "lib/runner/match.h"

/* What a demand still waits for, and where it may get it. */
struct waiter {
	const struct demand *d;
	uint64_t sign;
	int left;
	size_t *pools; /* that serve it, in the order they are asked; one on
			* agents once for each set */
	size_t *sets; /* with this label set */
	size_t npools;
	size_t at; /* the pool that is asked now */
	enum verdict refused; /* by the last pool asked */
};

/* When its turn comes.  All it depends on is in the heap itself: a large
 * heap waits for memory, not for reckoning. */
struct turn {
	int64_t rank, pool_share, repo_share, since;
	struct waiter *x;
	uint32_t pool, repo; /* in decide.pools, decide.repos */
};

struct work {
	const struct decide *in;
	struct plan *plan;
	struct matcher m;
	struct waiter *waiters;
	size_t nwaiters;
	struct turn *heap;
	size_t nheap;
	int *matched; /* of each crew */
	int *have; /* runners of each pool, with those granted */
	int **rooms; /* likewise pool.room, less those granted; or NULL */
	int *held; /* likewise of each repository: busy, matched, granted */
	struct room room;
};

/* 1 */
void decide_match(struct work *w);
/* 2 */
void decide_serve(struct work *w);
/* 3 and 4 */
void decide_reserve(struct work *w);

/* Do they keep a pool's min_idle: are they of its first label set? */
bool crew_is_reserve(const struct work *w, size_t crew);
/* Its runners that nobody waits for. */
int crew_unused(const struct work *w, size_t crew);
/* Jobs of its repository that may have a runner more. */
int repo_room(const struct work *w, const struct demand *d);
/* What keeps the pool itself from starting one more; START: nothing. */
enum verdict pool_refuses(const struct work *w, size_t i);
/* Likewise from one more with this label set. */
enum verdict set_refuses(const struct work *w, size_t pool, size_t set);
/* The same for a job in its k-th pool. */
enum verdict waiter_refused(const struct work *w, const struct waiter *x,
	size_t k);
/* Wall ms until which the pool backs off. */
int64_t backoff_until(const struct supply *s);
bool room_fits(const struct pool *p, const struct shape *s,
	const struct room *room);
/*
 * One more runner of the pool with this label set, and the shape that these
 * labels ask; more: like the one before.
 */
void grant_start(struct work *w, size_t pool, size_t set,
	const struct argv *ask, bool more);

#endif
