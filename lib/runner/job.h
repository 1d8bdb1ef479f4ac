/*
 * job: what a workflow_job payload says, brought into the tables.
 *
 *	CLEANUP_JOB struct job j = JOB_INIT;
 *	if (job_parse(payload, &j, err)) ...	pure
 *	... db_begin ... job_apply(db, &j, &changed, err) ... db_commit
 *
 * States move forward only (waiting < queued < in_progress < completed), in
 * whatever order deliveries come; what an earlier one knew and a later one
 * does not is kept.  A change writes job.waiting, job.queued, job.started or
 * job.completed (subject: the job's id); a job that one of our runners took
 * makes that runner busy and writes runner.busy.
 */
#ifndef FORGE_RUNNER_JOB_H
#define FORGE_RUNNER_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct db;

enum job_state {
	JOB_WAITING,
	JOB_QUEUED,
	JOB_IN_PROGRESS,
	JOB_COMPLETED,
	JOB_STATE__MAX
};
const char *job_state_name(enum job_state s);

struct job {
	int64_t id, attempt, run_id;
	enum job_state state;
	int64_t installation; /* 0: none */
	int64_t queued_at, started_at, completed_at; /* ms; -1: not known */
	char *repo, *name, *labels; /* labels: as the table has them */
	char *org, *enterprise, *workflow, *conclusion, *runner, *url;
		/* or NULL */
};
#define JOB_INIT ((struct job){ 0 })
#define CLEANUP_JOB __attribute__((cleanup(job_release)))
void job_release(struct job *j);

/*
 * ERR_INVALID, with the field, when something needed is missing, or beyond
 * its bounds: repository 255 bytes, 100 labels of 255 bytes.  Longer names
 * and addresses are cut to 1024 bytes.
 * ERR_NOTFOUND: an action that is not one of the four.
 */
int job_parse(const struct json *payload, struct job *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Inside a transaction.  *ret_changed: the state moved. */
int job_apply(struct db *db, const struct job *j, bool *ret_changed,
	struct err *err) __attribute__((warn_unused_result));

#endif
