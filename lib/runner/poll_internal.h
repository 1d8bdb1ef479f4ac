/*
 * poll_internal: what poll.c (runs and their jobs) and poll_open.c (the open
 * jobs of our table) share.
 */
#ifndef FORGE_RUNNER_POLL_INTERNAL_H
#define FORGE_RUNNER_POLL_INTERNAL_H

#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/tell.h"
#include "lib/base/json.h"
#include "lib/base/tell.h"

struct poll {
	struct state *st;
	struct db *db;
	int dry;
	tell_fn *told;
	struct github *gh; /* of the pool that is asked for */
	const char *scope; /* likewise */
	struct argv repos; /* "owner/name", of that scope */
	struct argv seen; /* ids of jobs that an answer told of */
	struct err last; /* the last failure */
};
void poll_release(struct poll *p);
void poll_add_repo(struct poll *p, const char *repo);

/* A job of REST into the tables, as if a webhook had told of it. */
int poll_take(struct poll *p, const char *repo, const struct json *job,
	struct err *err) __attribute__((warn_unused_result));
/* Those of p->repos that are open here and were not seen. */
int poll_open_jobs(struct poll *p, struct err *err)
	__attribute__((warn_unused_result));

#endif
