#include "lib/runner/scaleset_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/runner/job.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* What a type of message says of a job, as an action of a webhook. */
static const struct {
	const char *type, *action;
} types[] = {
	{ "JobAvailable", "waiting" }, /* until it is ours */
	{ "JobAssigned", "queued" },
	{ "JobStarted", "in_progress" },
	{ "JobCompleted", "completed" },
};

static const struct {
	const char *result, *conclusion;
} results[] = {
	{ "succeeded", "success" },
	{ "failed", "failure" },
	{ "canceled", "cancelled" },
	{ "skipped", "skipped" },
};

static const char *
action_of(const struct json *m)
{
	const char *type = json_str(m, "messageType", "");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(type, types[i].type))
			return types[i].action;
	return NULL;
}

static const char *
conclusion_of(const struct json *m)
{
	const char *result = json_str(m, "result", "");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(results); i++)
		if (!strcmp(result, results[i].result))
			return results[i].conclusion;
	return *result ? result : NULL;
}

static void
put_time(struct json *o, const char *key, const struct json *m,
	const char *from)
{
	const char *s = json_str(m, from, NULL);
	char now[32];

	json_put_str(o, key, s ? s :
		clock_format(clock_wall(), now, sizeof(now)));
}

static struct json *
labels_of(const struct scaleset *s)
{
	struct json *a = json_array();

	json_push_str(a, s->pool->sets[0].v[0]);
	return a;
}

/* What a webhook would have said; see scaleset.h for id and labels. */
static struct json *
payload_of(const struct scaleset *s, const struct json *m, const char *action)
{
	CLEANUP_FREE char *repo = xasprintf("%s/%s",
		json_str(m, "ownerName", ""),
		json_str(m, "repositoryName", ""));
	struct json *o = json_object(), *job = json_object();
	struct json *r = json_object();

	json_put_int(job, "id", SCALESET_JOBS +
		json_int(m, "runnerRequestId", -SCALESET_JOBS));
	json_put_int(job, "run_id", json_int(m, "workflowRunId", 0));
	json_put_str(job, "name", json_str(m, "jobDisplayName", ""));
	json_put_str(job, "workflow_name", json_str(m, "jobWorkflowRef",
		NULL));
	json_put_str(job, "runner_name", json_str(m, "runnerName", NULL));
	json_put_str(job, "conclusion", conclusion_of(m));
	json_put(job, "labels", labels_of(s));
	put_time(job, "created_at", m, "queueTime");
	put_time(job, "started_at", m, "runnerAssignTime");
	put_time(job, "completed_at", m, "finishTime");
	json_put_str(r, "full_name", repo);
	json_put_str(o, "action", action);
	json_put(o, "workflow_job", job);
	json_put(o, "repository", r);
	return o;
}

static int
take_one(struct scaleset *s, struct db *db, const struct json *m,
	struct json *acquire, struct err *err)
{
	CLEANUP_JSON struct json *payload = NULL;
	CLEANUP_JOB struct job j = JOB_INIT;
	const char *action = action_of(m);
	bool changed;

	if (!action)
		return 0; /* one of a later time */
	payload = payload_of(s, m, action);
	if (job_parse(payload, &j, err))
		return err_wrap(err, "a message of scale set '%s'",
			s->pool->scale_set);
	if (j.state == JOB_WAITING)
		json_push(acquire, json_get(m, "runnerRequestId"));
	return job_apply(db, &j, &changed, err);
}

int
scaleset_take(struct scaleset *s, const struct json *message,
	struct json *acquire, struct err *err)
{
	const char *body = json_str(message, "body", "[]");
	CLEANUP_JSON struct json *list = NULL;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct db *db;
	size_t i, n;

	if (*body && json_parse(body, strlen(body), &list, err))
		return err_wrap(err, "a message of scale set '%s'",
			s->pool->scale_set);
	n = list ? json_len(list, "") : 0;
	if (state_db(s->st, &db, err) || db_begin(db, &t, err))
		return -1;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *m = json_at(list, i);

		if (take_one(s, db, m, acquire, err))
			return -1;
	}
	return db_commit(&t, err);
}

/* ---- agreement ---- */

static int
bury(struct db *db, int64_t id, struct err *err)
{
	static const char sql[] =
		"UPDATE job SET state = 'completed', conclusion = 'gone', "
		"completed_at = ?2, updated_at = ?2 WHERE id = ?1 AND "
		"state <> 'completed'";
	CLEANUP_FREE char *subject = xasprintf("%" PRId64, id);
	struct json *data = json_object();

	json_put_str(data, "conclusion", "gone");
	return event_change(db, "job.completed", subject, data, sql,
		(const struct db_value[]){ DB_I(id), DB_I(clock_wall()),
			DB_LAST }, err);
}

static int
open_job(struct db *db, const char *labels, int64_t *ret, struct err *err)
{
	static const char sql[] =
		"SELECT coalesce(min(id), 0) FROM job WHERE "
		"state IN ('queued', 'in_progress') AND labels = ?1";

	return db_get_int(db, ret, sql, err, DB_S(labels));
}

/*
 * A set without any job has none for us either: what a message said that was
 * lost, for instance while somebody else had the session.
 */
int
scaleset_agree(struct scaleset *s, const struct json *statistics,
	struct err *err)
{
	CLEANUP_JSON struct json *list = labels_of(s);
	CLEANUP_FREE char *labels = json_text(list);
	struct db *db;
	int64_t id;

	if (!statistics ||
		json_int(statistics, "totalAssignedJobs", -1) != 0)
		return 0;
	if (state_db(s->st, &db, err) || open_job(db, labels, &id, err))
		return -1;
	while (id)
		if (bury(db, id, err) || open_job(db, labels, &id, err))
			return -1;
	return 0;
}
