/*
 * sync: make the rows of runners, and GitHub's list of them, tell the truth
 * again after a crash.  Safe to run at any time, by anybody, many at once.
 */
#ifndef FORGE_RUNNER_SYNC_H
#define FORGE_RUNNER_SYNC_H

#include "lib/base/err.h"
#include "lib/base/tell.h"

struct state;
struct github;
struct runner;

/*
 * Rows that are not done although no supervisor holds their lock get a new one
 * where their place lives on (adopt.h), and else become done with the result
 * 'lost'.  Then every runner that is done, and that GitHub
 * may still know, is removed there; one that GitHub calls busy is left for
 * the next time.  With dry set, only tell.  told() gets a line for each.
 * Errors of single runners are told too; -1 is for the database only.
 */
int runner_sync(struct state *st, int dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

/* A client for the [github] section that the runner's pool names, or for the
 * only one there is; github_close() it. */
int runner_github(struct state *st, const struct runner *r,
	struct github **ret, struct err *err)
	__attribute__((warn_unused_result));

/* Remove at GitHub, by id or, where the id was not learned, by name. */
int runner_unregister(struct github *gh, const struct runner *r,
	struct err *err) __attribute__((warn_unused_result));

#endif
