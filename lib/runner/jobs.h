/*
 * jobs: what is known of workflow jobs, for people.  (job.h writes them.)
 */
#ifndef FORGE_RUNNER_JOBS_H
#define FORGE_RUNNER_JOBS_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct db;

/* Jobs that are not completed, oldest first; with all, the others too.  emit
 * owns each row. */
int jobs_each(struct db *db, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
