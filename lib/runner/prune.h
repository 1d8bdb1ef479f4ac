/*
 * prune: the rows and files of runners are kept for those who ask later who
 * ran what where, and then go.
 */
#ifndef FORGE_RUNNER_PRUNE_H
#define FORGE_RUNNER_PRUNE_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/tell.h"

struct state;

/*
 * Forget, at most 1,000 at a time, the runners that are done, and at GitHub
 * gone, for longer than forge.keep-runners.  With dry set, only tell.
 */
int runner_prune(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

#endif
