/*
 * why: everything that is known to have happened to a job, in order, with
 * how long each step took.
 */
#ifndef FORGE_RUNNER_WHY_H
#define FORGE_RUNNER_WHY_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct db;

/*
 * Give to emit, oldest first, the events of the job, of the runner that took
 * it, and of that runner's VM: {"seq","at","kind","subject","took","data"};
 * took is ms since the step before (0 for the first).  emit owns it.
 * ERR_NOTFOUND when the job is not known.
 */
int job_why(struct db *db, int64_t job,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
