/*
 * garm_place: the prefix of the place garm:NAME, one process for each runner
 * there.  It is to the runner's supervisor (run_place.c) what the shell in
 * another place is, and has the instance made, watched and deleted:
 *
 *	CreateInstance; the instance boots, and calls forge-webhook with its
 *	token: then the mark goes to stdout
 *	one line from stdin, the JIT configuration, is sealed for the instance
 *	to fetch
 *	the job has ended, as GitHub told: "MARK STATUS" to stdout; "diag" on
 *	stdin is answered with "MARK .": there is no archive
 *	stdin ends: DeleteInstance
 *
 * STATUS is 0 when it has taken its job or was not needed (GitHub knows how
 * that ended), 1 when the instance failed.  125: it did not come to be.
 *
 * SIGTERM ends the instance, unless it comes because the supervisor died: one
 * that has its configuration then goes on, and is found again with `adopt`,
 * or deleted by garm_sweep().
 */
#ifndef FORGE_RUNNER_GARM_PLACE_H
#define FORGE_RUNNER_GARM_PLACE_H

#include <stdbool.h>
#include "lib/base/err.h"

struct state;
struct json;

struct garm_run {
	const char *on; /* NAME of [garm "NAME"] */
	const char *name; /* of the runner */
	const char *mark;
	const char *pool; /* or NULL */
	const char *github; /* [github] section, or NULL: the only one */
	const char *scope;
	const char *labels; /* with commas between */
	bool adopt; /* the instance is there, its runner has its job or waits */
};

int garm_run(struct state *st, const struct garm_run *run, int *ret_status,
	struct err *err) __attribute__((warn_unused_result));

/* ---- garm_bootstrap.c ---- */

struct garm;

/* What CreateInstance reads: BootstrapInstance.  Asks GitHub for the runner's
 * downloads, which a provider may install. */
int garm_bootstrap(struct state *st, const struct garm *g,
	const struct garm_run *run, const char *pool_id, const char *token,
	struct json **ret, struct err *err) __attribute__((warn_unused_result));

#endif
