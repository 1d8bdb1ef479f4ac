/*
 * shape: labels by which a job asks for a certain VM.
 *
 *	forge-cpus=4	forge-memory=8g		forge-image=ubuntu
 *
 * Whoever may write a workflow writes these, so a pool says how far they are
 * heeded (allow-cpus, allow-memory, allow-images); a job that asks for more
 * is not served by that pool.
 */
#ifndef FORGE_RUNNER_SHAPE_H
#define FORGE_RUNNER_SHAPE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"

struct pool;

struct shape {
	int cpus;
	int64_t memory; /* bytes */
	const char *image; /* of the pool's allow-images; NULL: its own */
};

/* Is it one of the three? */
bool shape_label(const char *label);
/*
 * The VM that these labels (lower case) ask of the pool: its own where they
 * do not say.  False when they ask for what it does not allow, for nonsense,
 * or for two things at once.
 */
bool shape_of(const struct pool *pool, const struct argv *labels,
	struct shape *ret);

#endif
