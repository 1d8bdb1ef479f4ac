#include "lib/runner/job.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

/* A payload; labels and repo are JSON. */
static struct json *
payload(const char *action, const char *labels, const char *repo,
	const char *more)
{
	CLEANUP_FREE char *s = xasprintf(
		"{\"action\":\"%s\",\"workflow_job\":{\"id\":7,\"run_id\":5,"
		"\"labels\":%s,\"started_at\":\"2026-01-01T00:00:02Z\","
		"\"runner_name\":\"r1\",\"conclusion\":\"success\"%s},"
		"\"repository\":{\"full_name\":%s}}", action, labels, more,
		repo);
	struct err err = ERR_INIT;
	struct json *j = NULL;

	if (json_parse(s, strlen(s), &j, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return j;
}

static void
refused(const char *action, const char *labels, const char *repo,
	enum err_code code, const char *name)
{
	CLEANUP_JSON struct json *p = payload(action, labels, repo, "");
	CLEANUP_JOB struct job j = JOB_INIT;
	struct err err = ERR_INIT;

	is_int(job_parse(p, &j, &err), -1, name);
	is_int(err.code, code, err.msg);
}

static void
test_parse(void)
{
	CLEANUP_JSON struct json *p = payload("queued",
		"[\"X64\",\"linux\",\"x64\"]", "\"acme/app\"", "");
	CLEANUP_JSON struct json *none = payload("completed", "[]",
		"\"a/b\"", "");
	CLEANUP_JOB struct job j = JOB_INIT, k = JOB_INIT;
	struct err err = ERR_INIT;

	is_int(job_parse(p, &j, &err), 0, "a queued job");
	is_int(j.state, JOB_QUEUED, "state");
	is_str(j.labels, "[\"linux\",\"x64\"]", "lower case, sorted, once");
	is_str(j.runner, NULL, "a queued job has no runner");
	is_int(j.started_at, -1, "nor a start");
	is_int(job_parse(none, &k, &err), 0, "a completed job, no labels");
	is_str(k.labels, "[]", "labels");
	is_str(k.runner, "r1", "runner");
	is_str(k.conclusion, "success", "conclusion");
	is_int(k.started_at, INT64_C(1767225602000), "start");
	is_int(k.completed_at, -1, "an end that is not told");
}

static void
test_bounds(void)
{
	char many[101 * 4 + 2] = "[", deep[2100], label[300];
	CLEANUP_JSON struct json *p = NULL;
	CLEANUP_JOB struct job j = JOB_INIT;
	CLEANUP_FREE char *more = NULL;
	struct err err = ERR_INIT;
	int i;

	for (i = 0; i < 101; i++)
		memcpy(many + 1 + 4 * (size_t)i, "\"a\",", 4);
	memcpy(many + 404, "]", 2);
	refused("queued", many, "\"a/b\"", ERR_INVALID, "101 labels");
	memset(label, 'a', sizeof(label));
	memcpy(label, "[\"", 2);
	memcpy(label + sizeof(label) - 3, "\"]", 3);
	refused("queued", label, "\"a/b\"", ERR_INVALID, "a long label");
	refused("queued", "[1]", "\"a/b\"", ERR_INVALID, "a label, no text");
	refused("queued", "[]", "\"a\"", ERR_INVALID, "a repo, no owner");
	refused("queued", "[]", "\"a/b/c\"", ERR_INVALID, "two slashes");
	refused("queued", "[]", "7", ERR_INVALID, "a repo, no text");
	refused("deleted", "[]", "\"a/b\"", ERR_NOTFOUND, "another action");
	/* "a" and then two bytes each: 1024 falls within one */
	deep[0] = 'a';
	for (i = 1; i < 2001; i += 2)
		memcpy(deep + i, "\xc3\xa4", 2);
	deep[2001] = '\0';
	more = xasprintf(",\"name\":\"%s\"", deep);
	p = payload("queued", "[]", "\"a/b\"", more);
	is_int(job_parse(p, &j, &err), 0, "a long name");
	is_int((int64_t)strlen(j.name), 1023, "is cut between characters");
}

static int
apply(struct db *db, enum job_state state)
{
	CLEANUP_JSON struct json *p = payload(job_state_name(state),
		"[\"linux\"]", "\"acme/app\"", "");
	CLEANUP_JOB struct job j = JOB_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct err err = ERR_INIT;
	bool changed;

	if (job_parse(p, &j, &err) || db_begin(db, &t, &err) ||
		job_apply(db, &j, &changed, &err) || db_commit(&t, &err)) {
		printf("# %s\n", err.msg);
		return -1;
	}
	return changed;
}

static void
is_sql(struct db *db, const char *sql, const char *want, const char *name)
{
	CLEANUP_FREE char *got = NULL;
	struct err err = ERR_INIT;

	if (db_get_text(db, &got, sql, &err))
		printf("# %s\n", err.msg);
	is_str(got, want, name);
}

/* All orders in which four deliveries can come: the end is the same. */
static void
test_orders(struct db *db)
{
	struct err err = ERR_INIT;
	int i;

	for (i = 0; i < 4 * 4 * 4 * 4; i++) {
		int order[] = { i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 };
		int seen = 0, best = -1, bad = 0, k;

		for (k = 0; k < 4; k++)
			seen |= 1 << order[k];
		if (seen != 15)
			continue;
		if (db_run(db, "DELETE FROM job", NULL, &err))
			bad++;
		for (k = 0; k < 4; k++) {
			bad += apply(db, (enum job_state)order[k]) !=
				(order[k] > best);
			best = order[k] > best ? order[k] : best;
		}
		is_int(bad, 0, "only what is further changes it");
		is_sql(db, "SELECT state || runner || conclusion FROM job",
			"completedr1success", "the end");
	}
}

static void
test_runner(struct db *db)
{
	static const char sql[] = "INSERT INTO runner (name, scope, labels, "
		"place, state, created_at) VALUES ('r1', 'repo:acme/app', "
		"'[]', 'vm:x', 'idle', 1)";
	struct err err = ERR_INIT;

	if (db_run(db, "DELETE FROM job", NULL, &err) ||
		db_run(db, "DELETE FROM event", NULL, &err) ||
		db_run(db, sql, NULL, &err))
		printf("# %s\n", err.msg);
	is_int(apply(db, JOB_QUEUED), 1, "queued");
	is_sql(db, "SELECT state FROM runner", "idle", "its name is not read");
	is_int(apply(db, JOB_IN_PROGRESS), 1, "in progress");
	is_sql(db, "SELECT state || job FROM runner", "busy7", "busy with it");
	is_int(apply(db, JOB_IN_PROGRESS), 0, "once more");
	is_int(apply(db, JOB_COMPLETED), 1, "completed");
	is_sql(db, "SELECT state FROM runner", "busy",
		"only its supervisor ends a runner");
	is_sql(db, "SELECT group_concat(kind || ' ' || subject, ',') FROM "
		"(SELECT * FROM event ORDER BY seq)",
		"job.queued 7,job.started 7,runner.busy r1,job.completed 7",
		"events");
}

int
main(void)
{
	struct err err = ERR_INIT;
	struct db *db;

	test_parse();
	test_bounds();
	tmp_enter();
	if (ok(!db_open("forge.db", &db, &err), err.msg)) {
		test_orders(db);
		test_runner(db);
		db_close(db);
	}
	tmp_leave();
	return done();
}
