/*
 * poll: ask GitHub for the jobs that no webhook told of.
 *
 * Looked at are the repositories of the pools: that of a repo scope; those of
 * an organization that the token sees, where something was pushed within 60
 * days, and those that jobs came from; of an enterprise only the latter.  Of
 * each the runs that are not completed are asked for, and the jobs of those;
 * then, one by one, the open jobs of our table that were in none of them.
 * What did not change since the last time costs nothing of the budget.
 *
 * A job that GitHub no longer knows, two times at least two minutes apart,
 * is completed with the conclusion 'gone'.
 */
#ifndef FORGE_RUNNER_POLL_H
#define FORGE_RUNNER_POLL_H

#include "lib/base/err.h"
#include "lib/base/tell.h"

struct state;

/*
 * With dry set, only tell. told() gets a line for each job that moved, and
 * for each repository or section that could not be asked; then the rest is
 * done all the same, and the result is -1 with the last such error.
 */
int poll_jobs(struct state *st, int dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

#endif
