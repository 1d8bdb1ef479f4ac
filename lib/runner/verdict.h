/*
 * verdict: GitHub's word on what became of a runner's job.
 */
#ifndef FORGE_RUNNER_VERDICT_H
#define FORGE_RUNNER_VERDICT_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/runner/runner.h"

struct db;
struct github;

/* False when the conclusion (may be NULL) says nothing of the runner. */
bool verdict_of(const char *conclusion, enum runner_result *ret);

/*
 * *result becomes what GitHub says of the job that the runner took, as far
 * as a webhook told it, or, with ask, as GitHub answers now.  It is left
 * alone when no job, or no end of it, is known.
 */
int job_verdict(struct db *db, struct github *gh, const char *runner,
	bool ask, enum runner_result *result, struct err *err)
	__attribute__((warn_unused_result));

#endif
