#include "lib/runner/job.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/runner/verdict.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/base/banned.h"

enum { NAME_MAX_BYTES = 255, TEXT_MAX_BYTES = 1024, LABELS_MAX = 100 };

static const char *const states[] = { "waiting", "queued", "in_progress",
	"completed" };
_Static_assert(ARRAY_SIZE(states) == JOB_STATE__MAX, "states");
static const char *const kinds[] = { "job.waiting", "job.queued",
	"job.started", "job.completed" };
_Static_assert(ARRAY_SIZE(kinds) == JOB_STATE__MAX, "kinds");

const char *
job_state_name(enum job_state s)
{
	return states[s];
}

static int
state_of(const char *name)
{
	int i;

	for (i = 0; i < JOB_STATE__MAX; i++)
		if (!strcmp(states[i], name))
			return i;
	return -1;
}

void
job_release(struct job *j)
{
	char *owned[] = { j->repo, j->name, j->labels, j->org, j->enterprise,
		j->workflow, j->conclusion, j->runner, j->url };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(owned); i++)
		free(owned[i]);
	*j = JOB_INIT;
}

/* ---- the payload ---- */

/* A copy, cut between characters; NULL when missing or empty. */
static char *
text(const struct json *payload, const char *path, size_t max)
{
	const char *s = json_str(payload, path, NULL);
	size_t n;

	if (!s || !*s)
		return NULL;
	n = strnlen(s, max + 1);
	if (n > max)
		for (n = max; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	return xstrndup(s, n);
}

static int
number(const struct json *payload, const char *path, int64_t *ret,
	struct err *err)
{
	int64_t n = json_int(payload, path, 0);

	if (n < 1)
		return err_set(err, ERR_INVALID,
			"'%s' is missing or not a positive number", path);
	*ret = n;
	return 0;
}

static int64_t
when(const struct json *payload, const char *path)
{
	const char *s = json_str(payload, path, NULL);

	return s ? clock_parse(s) : -1;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *
join_labels(char **v, size_t n)
{
	CLEANUP_JSON struct json *a = json_array();
	size_t i;

	qsort(v, n, sizeof(*v), compare);
	for (i = 0; i < n; i++)
		if (!i || strcmp(v[i], v[i - 1]) != 0)
			json_push_str(a, v[i]);
	return json_text(a);
}

static int
label(const struct json *list, size_t i, char **ret, struct err *err)
{
	CLEANUP_JSON struct json *item = json_at(list, i);
	const char *s = json_str(item, "", NULL);
	char *p;

	if (!s || !*s || strlen(s) > NAME_MAX_BYTES)
		return err_set(err, ERR_INVALID,
			"'workflow_job.labels' has one that is not a string of "
			"1 to %d bytes", NAME_MAX_BYTES);
	*ret = xstrdup(s);
	for (p = *ret; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

static int
parse_labels(const struct json *payload, char **ret, struct err *err)
{
	CLEANUP_JSON struct json *list =
		json_get(payload, "workflow_job.labels");
	size_t n = list ? json_len(list, "") : 0, i;
	char *v[LABELS_MAX];
	int rc = 0;

	if (!list || n > LABELS_MAX)
		return err_set(err, ERR_INVALID,
			"'workflow_job.labels' is missing or has more than %d",
			LABELS_MAX);
	for (i = 0; i < n && !rc; i++) {
		v[i] = NULL;
		rc = label(list, i, &v[i], err);
	}
	if (!rc)
		*ret = join_labels(v, n);
	while (i)
		free(v[--i]);
	return rc;
}

static int
parse_repo(const struct json *payload, char **ret, struct err *err)
{
	const char *s = json_str(payload, "repository.full_name", NULL);
	const char *slash = s ? strchr(s, '/') : NULL;

	if (!slash || slash == s || !slash[1] || strchr(slash + 1, '/') ||
		strlen(s) > NAME_MAX_BYTES)
		return err_set(err, ERR_INVALID,
			"'repository.full_name' is missing or not OWNER/NAME");
	*ret = xstrdup(s);
	return 0;
}

static void
parse_rest(const struct json *p, struct job *j)
{
	static const char name[] = "workflow_job.name";

	j->attempt = json_int(p, "workflow_job.run_attempt", 1);
	j->name = text(p, name, TEXT_MAX_BYTES);
	if (!j->name)
		j->name = xstrdup("");
	j->workflow = text(p, "workflow_job.workflow_name", TEXT_MAX_BYTES);
	j->url = text(p, "workflow_job.html_url", TEXT_MAX_BYTES);
	j->org = text(p, "organization.login", NAME_MAX_BYTES);
	j->enterprise = text(p, "enterprise.slug", NAME_MAX_BYTES);
	j->installation = json_int(p, "installation.id", 0);
	j->queued_at = when(p, "workflow_job.created_at");
	j->started_at = j->completed_at = -1;
	if (j->state < JOB_IN_PROGRESS)
		return; /* GitHub fills in started_at even then */
	j->runner = text(p, "workflow_job.runner_name", NAME_MAX_BYTES);
	j->started_at = when(p, "workflow_job.started_at");
	if (j->state < JOB_COMPLETED)
		return;
	j->conclusion = text(p, "workflow_job.conclusion", NAME_MAX_BYTES);
	j->completed_at = when(p, "workflow_job.completed_at");
}

/*
 * The action says the state, not workflow_job.status: that may still be
 * "waiting" when "queued" is announced, and a runner too early costs less
 * than a job that nobody takes.
 */
int
job_parse(const struct json *payload, struct job *ret, struct err *err)
{
	CLEANUP_JOB struct job j = JOB_INIT;
	const char *action = json_str(payload, "action", NULL);
	int state;

	if (!action)
		return err_set(err, ERR_INVALID, "'action' is missing");
	state = state_of(action);
	if (state < 0)
		return err_set(err, ERR_NOTFOUND,
			"'%.64s' is no action of a job", action);
	j.state = (enum job_state)state;
	if (number(payload, "workflow_job.id", &j.id, err) ||
		number(payload, "workflow_job.run_id", &j.run_id, err) ||
		parse_repo(payload, &j.repo, err) ||
		parse_labels(payload, &j.labels, err))
		return -1;
	parse_rest(payload, &j);
	*ret = j;
	j = JOB_INIT;
	return 0;
}

/* ---- the tables ---- */

static struct db_value
time_value(int64_t ms)
{
	return ms < 0 ? DB_NULL : DB_I(ms);
}

/* The state it was in, -1 for a job not seen before. */
static int
old_state(struct db *db, int64_t id, int *ret, struct err *err)
{
	CLEANUP_FREE char *s = NULL;
	struct err e = ERR_INIT;

	*ret = -1;
	if (!db_get_text(db, &s, "SELECT state FROM job WHERE id = ?1", &e,
		    DB_I(id))) {
		*ret = state_of(s);
		return 0;
	}
	if (e.code == ERR_NOTFOUND)
		return 0;
	*err = e;
	return -1;
}

static int
write_job(struct db *db, const struct job *j, enum job_state state,
	struct err *err)
{
	static const char sql[] =
		"INSERT INTO job (id, attempt, run_id, repo, org, enterprise, "
		"workflow, name, labels, state, conclusion, runner, "
		"installation, url, queued_at, started_at, completed_at, "
		"updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
		"?11, ?12, nullif(?13, 0), ?14, ?15, ?16, ?17, ?18) "
		"ON CONFLICT (id) DO UPDATE SET state = excluded.state, "
		"org = coalesce(org, excluded.org), "
		"enterprise = coalesce(enterprise, excluded.enterprise), "
		"workflow = coalesce(workflow, excluded.workflow), "
		"conclusion = coalesce(conclusion, excluded.conclusion), "
		"runner = coalesce(runner, excluded.runner), "
		"installation = coalesce(installation, excluded.installation),"
		"url = coalesce(url, excluded.url), "
		"queued_at = coalesce(queued_at, excluded.queued_at), "
		"started_at = coalesce(started_at, excluded.started_at), "
		"completed_at = coalesce(completed_at, "
		"excluded.completed_at), updated_at = excluded.updated_at";

	return db_run(db, sql, NULL, err, DB_I(j->id), DB_I(j->attempt),
		DB_I(j->run_id), DB_S(j->repo), DB_S(j->org),
		DB_S(j->enterprise), DB_S(j->workflow), DB_S(j->name),
		DB_S(j->labels), DB_S(states[state]), DB_S(j->conclusion),
		DB_S(j->runner), DB_I(j->installation), DB_S(j->url),
		time_value(j->queued_at), time_value(j->started_at),
		time_value(j->completed_at), DB_I(clock_wall()));
}

/* What comes when the runner has ended tells only whose job it was. */
static int
mark_runner(struct db *db, const struct job *j, struct err *err)
{
	static const char sql_busy[] =
		"UPDATE runner SET state = 'busy', job = ?2, busy_at = ?3 "
		"WHERE name = ?1 AND state IN ('booted', 'registering', "
		"'idle')";
	static const char sql_job[] =
		"UPDATE runner SET job = ?2 WHERE name = ?1 AND job IS NULL";
	struct json *data;
	int changes = 0;

	if (!j->runner || j->state < JOB_IN_PROGRESS)
		return 0;
	if (j->state == JOB_IN_PROGRESS &&
		db_run(db, sql_busy, &changes, err, DB_S(j->runner),
			DB_I(j->id), DB_I(clock_wall())))
		return -1;
	if (!changes)
		return db_run(db, sql_job, NULL, err, DB_S(j->runner),
			DB_I(j->id));
	data = json_object();
	json_put_int(data, "job", j->id);
	return event_add(db, "runner.busy", j->runner, data, err);
}

/*
 * The listener's word was a hint; this is what counts.  What we ended
 * ourselves stays as we said.
 */
static int
correct_runner(struct db *db, const struct job *j, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET result = ?2 WHERE name = ?1 AND job = ?3 "
		"AND result <> ?2 AND result IN ('succeeded', 'failed', "
		"'cancelled', 'skipped', 'abandoned', 'lost')";
	enum runner_result result;
	struct json *data;
	int changes;

	if (!j->runner || j->state != JOB_COMPLETED ||
		!verdict_of(j->conclusion, &result))
		return 0;
	if (db_run(db, sql, &changes, err, DB_S(j->runner),
		    DB_S(runner_result_name(result)), DB_I(j->id)))
		return -1;
	if (!changes)
		return 0;
	data = json_object();
	json_put_str(data, "result", runner_result_name(result));
	return event_add(db, "runner.corrected", j->runner, data, err);
}

static int
tell(struct db *db, const struct job *j, struct err *err)
{
	CLEANUP_FREE char *id = xasprintf("%" PRId64, j->id);
	struct json *data = json_object(), *labels;
	struct err e = ERR_INIT;

	json_put_str(data, "repo", j->repo);
	json_put_str(data, "name", j->name);
	if (!json_parse(j->labels, strlen(j->labels), &labels, &e))
		json_put(data, "labels", labels);
	if (j->runner)
		json_put_str(data, "runner", j->runner);
	if (j->conclusion)
		json_put_str(data, "conclusion", j->conclusion);
	return event_add(db, kinds[j->state], id, data, err);
}

int
job_apply(struct db *db, const struct job *j, bool *ret_changed,
	struct err *err)
{
	int old;

	if (old_state(db, j->id, &old, err))
		return -1;
	if (old >= (int)j->state) {
		*ret_changed = false;
		return write_job(db, j, (enum job_state)old, err);
	}
	if (write_job(db, j, j->state, err) || tell(db, j, err) ||
		mark_runner(db, j, err) || correct_runner(db, j, err))
		return -1;
	*ret_changed = true;
	return 0;
}
