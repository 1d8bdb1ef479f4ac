/*
 * match: which pools and which runners a demand can use, found quickly: pools
 * are sorted by scope, label sets carry a signature of 64 bits.  Only for
 * decide.c.
 */
#ifndef FORGE_RUNNER_MATCH_H
#define FORGE_RUNNER_MATCH_H

#include "lib/runner/decide.h"

struct scoped {
	uint64_t hash; /* of the scope, lower case */
	uint32_t rank; /* by priority and name: 0 is asked first */
	size_t pool;
};

struct matcher {
	const struct decide *in;
	struct scoped *scoped; /* by hash, rank */
	size_t *crews; /* first crew of each pool; npools + 1 */
	uint64_t *crew_signs;
	uint64_t **set_signs; /* of each pool */
};

void matcher_init(struct matcher *m, const struct decide *in);
void matcher_release(struct matcher *m);

/* A bit for each label, so that subset implies !(part & ~whole). */
uint64_t labels_sign(const struct argv *labels);
/* Of those that a label set must have: not of those that ask for a shape. */
uint64_t labels_needed(const struct argv *labels);
/* Both sorted. */
bool labels_subset(const struct argv *part, const struct argv *whole);

/*
 * The pools whose scope covers the demand, in the order in which they are
 * asked, in *ret, which has room for all; returns how many.
 */
size_t match_scopes(const struct matcher *m, const struct demand *d,
	size_t *ret);
/* As pool_serves(), for one of those; sign: labels_needed(d->labels); the
 * sets before *ret_set are not asked. */
bool match_pool(const struct matcher *m, size_t pool, const struct demand *d,
	uint64_t sign, size_t *ret_set);

#endif
