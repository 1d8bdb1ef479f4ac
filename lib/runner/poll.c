#include "lib/runner/poll.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/etag.h"
#include "lib/runner/github.h"
#include "lib/runner/job.h"
#include "lib/runner/poll_internal.h"
#include "lib/runner/pool.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { PAGE = 100, PAGES_MAX = 20 };
#define WEEK (INT64_C(7) * 24 * 3600 * 1000)

/* ---- one job ---- */

/* REST knows more states than webhooks have actions. */
static const char *
action_of(const char *status)
{
	static const char *const same[] = { "queued", "in_progress",
		"completed" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(same); i++)
		if (!strcmp(status, same[i]))
			return same[i];
	return "waiting"; /* requested, pending */
}

/* What the webhook would have said; takes nothing over. */
static struct json *
payload_of(const struct poll *p, const char *repo, const struct json *job)
{
	struct json *o = json_object(), *r = json_object();
	const char *name = strchr(p->scope, ':') + 1;

	json_put_str(r, "full_name", repo);
	json_put_str(o, "action", action_of(json_str(job, "status", "")));
	json_put(o, "workflow_job", json_get(job, ""));
	json_put(o, "repository", r);
	r = json_object();
	if (!strncmp(p->scope, "org:", 4)) {
		json_put_str(r, "login", name);
		json_put(o, "organization", r);
	} else if (!strncmp(p->scope, "enterprise:", 11)) {
		json_put_str(r, "slug", name);
		json_put(o, "enterprise", r);
	} else {
		json_free(r);
	}
	return o;
}

int
poll_take(struct poll *p, const char *repo, const struct json *job,
	struct err *err)
{
	static const char found[] =
		"UPDATE job SET missing_at = NULL WHERE id = ?1 AND "
		"missing_at IS NOT NULL";
	CLEANUP_JSON struct json *payload = payload_of(p, repo, job);
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_JOB struct job j = JOB_INIT;
	bool changed;

	if (job_parse(payload, &j, err))
		return err_wrap(err, "a job of '%s'", repo);
	argv_pushf(&p->seen, "%" PRId64, j.id);
	if (db_begin(p->db, &t, err) || job_apply(p->db, &j, &changed, err) ||
		db_run(p->db, found, NULL, err, DB_I(j.id)) ||
		(!p->dry && db_commit(&t, err)))
		return -1;
	if (changed)
		tell_line(p->told, "job %" PRId64 " of '%s': %s", j.id, repo,
			job_state_name(j.state));
	return 0;
}

/* ---- the runs of a repository ---- */

/* Every page of rows; each row goes to take(). */
static int
each_page(struct poll *p, const char *path, const char *key,
	int (*take)(struct poll *p, const char *repo, const struct json *row,
		struct err *err),
	const char *repo, struct err *err)
{
	size_t rows = PAGE, i;
	int page;

	for (page = 1; rows == PAGE && page <= PAGES_MAX; page++) {
		CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
		CLEANUP_JSON struct json *list = NULL;
		CLEANUP_FREE char *full = xasprintf("%s%cper_page=%d&page=%d",
			path, strchr(path, '?') ? '&' : '?', PAGE, page);

		if (github_get(p->gh, p->scope, full, NULL, &r, err))
			return -1;
		list = json_get(r.json, key);
		rows = list ? json_len(list, "") : 0;
		for (i = 0; i < rows; i++) {
			CLEANUP_JSON struct json *row = json_at(list, i);

			if (take(p, repo, row, err))
				return -1;
		}
	}
	return 0;
}

/*
 * The jobs of a run: conditionally, as most runs have not moved since. A
 * second page is rare (a matrix of more than 100) and then asked for always.
 */
static int
poll_run(struct poll *p, const char *repo, int64_t run, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("/repos/%s/actions/runs/%" PRId64
		"/jobs", repo, run);
	CLEANUP_FREE char *first = xasprintf("%s?per_page=%d", path, PAGE);
	CLEANUP_FREE char *key = xasprintf("%s %s", github_name(p->gh), path);
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *tag = NULL, *note = NULL;
	CLEANUP_JSON struct json *list = NULL;
	size_t i, n;

	if (etag_get(p->db, key, &tag, &note, err) ||
		github_get(p->gh, p->scope, first, tag, &r, err))
		return -1;
	if (r.unchanged) {
		argv_splitc(&p->seen, note, ' ');
		return 0;
	}
	list = json_get(r.json, "jobs");
	n = list ? json_len(list, "") : 0;
	if (n == PAGE)
		return each_page(p, path, "jobs", poll_take, repo, err);
	CLEANUP_BUF struct buf ids = BUF_INIT;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *row = json_at(list, i);

		if (poll_take(p, repo, row, err))
			return -1;
		buf_addf(&ids, "%s%" PRId64, i ? " " : "",
			json_int(row, "id", 0));
	}
	return p->dry ? 0 : etag_put(p->db, key, r.etag, ids.s, err);
}

static int
take_run(struct poll *p, const char *repo, const struct json *row,
	struct err *err)
{
	int64_t id = json_int(row, "id", 0);

	if (id <= 0)
		return err_set(err, ERR_INVALID, "a run of '%s' has no id",
			repo);
	return poll_run(p, repo, id, err);
}

static int
poll_repo(struct poll *p, const char *repo, struct err *err)
{
	static const char *const open[] = { "queued", "in_progress",
		"waiting" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(open); i++) {
		CLEANUP_FREE char *path = xasprintf(
			"/repos/%s/actions/runs?status=%s", repo, open[i]);

		if (each_page(p, path, "workflow_runs", take_run, repo, err))
			return -1;
	}
	return 0;
}

/* ---- which repositories ---- */

static int
take_repo(struct poll *p, const char *unused, const struct json *row,
	struct err *err)
{
	const char *name = json_str(row, "full_name", "");
	CLEANUP_FREE char *scope = xasprintf("repo:%s", name);
	int64_t pushed = clock_parse(json_str(row, "pushed_at", ""));

	(void)unused;
	if (scope_check(scope, err))
		return -1;
	if (!json_bool(row, "archived", false) &&
		(pushed < 0 || pushed > clock_wall() - WEEK * 60 / 7))
		poll_add_repo(p, name);
	return 0;
}

static int
known_repos(struct poll *p, struct err *err)
{
	static const char sql[] =
		"SELECT DISTINCT repo FROM job WHERE updated_at > ?1 AND "
		"(repo LIKE ?2 || '/%' OR enterprise = ?2)";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(p->db, &rows, sql, err, DB_I(clock_wall() - WEEK * 4),
		DB_S(strchr(p->scope, ':') + 1)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		poll_add_repo(p, db_text(rows, 0));
	return rc;
}

static int
org_repos(struct poll *p, struct err *err)
{
	CLEANUP_FREE char *path = NULL;

	if (github_is_app(p->gh))
		return each_page(p, "/installation/repositories",
			"repositories", take_repo, NULL, err);
	path = xasprintf("/orgs/%s/repos", p->scope + strlen("org:"));
	return each_page(p, path, "", take_repo, NULL, err);
}

static int
list_repos(struct poll *p, struct err *err)
{
	if (!strncmp(p->scope, "repo:", 5)) {
		poll_add_repo(p, p->scope + 5);
		return 0;
	}
	if (known_repos(p, err))
		return -1;
	return strncmp(p->scope, "org:", 4) ? 0 : org_repos(p, err);
}

void
poll_add_repo(struct poll *p, const char *repo)
{
	size_t i;

	for (i = 0; i < p->repos.n; i++)
		if (!strcasecmp(p->repos.v[i], repo))
			return;
	argv_push(&p->repos, repo);
}

/* ---- all pools ---- */

/* One that fails is told, and the others are asked all the same. */
static void
failed(struct poll *p, const char *what, const struct err *why)
{
	tell_line(p->told, "'%s' was not asked for jobs: %s", what, why->msg);
	p->last = *why;
}

/* A limit holds for every repository of the section. */
static void
poll_repos(struct poll *p)
{
	size_t i;

	for (i = 0; i < p->repos.n; i++) {
		struct err one = ERR_INIT;

		if (!poll_repo(p, p->repos.v[i], &one))
			continue;
		failed(p, p->repos.v[i], &one);
		if (one.code == ERR_LIMIT)
			return;
	}
}

static void
poll_pool(struct poll *p, const struct pool *pool)
{
	CLEANUP_GITHUB struct github *gh = NULL;
	struct err one = ERR_INIT;

	p->scope = pool->scope;
	argv_release(&p->repos);
	if (github_open(p->st, pool->github, &gh, &one)) {
		failed(p, pool->scope, &one);
		return;
	}
	if (github_is_gitea(gh))
		return; /* lists its jobs otherwise */
	github_set_background(gh);
	p->gh = gh;
	if (list_repos(p, &one))
		failed(p, pool->scope, &one);
	poll_repos(p);
	one = ERR_INIT;
	if (poll_open_jobs(p, &one))
		failed(p, pool->scope, &one);
	p->gh = NULL;
}

/* Pools of one scope, as of several label sets, are one question. */
static bool
asked_before(const struct pools *pools, size_t at)
{
	const struct pool *a = &pools->v[at];
	size_t i;

	for (i = 0; i < at; i++) {
		const struct pool *b = &pools->v[i];

		if (!b->scale_set && !strcasecmp(a->scope, b->scope) &&
			!strcmp(a->github ? a->github : "",
				b->github ? b->github : ""))
			return true;
	}
	return false;
}

int
poll_jobs(struct state *st, int dry, tell_fn *told, struct err *err)
{
	CLEANUP(poll_release) struct poll p = { .st = st, .dry = dry,
		.told = told, .seen = ARGV_INIT,
		.repos = ARGV_INIT, .last = ERR_INIT };
	CLEANUP_POOLS struct pools pools = { 0 };
	size_t i;

	if (state_db(st, &p.db, err) || pools_load(st, &pools, err))
		return -1;
	for (i = 0; i < pools.n; i++)
		/* A scale set tells of its jobs, under ids of its own. */
		if (!pools.v[i].scale_set && !asked_before(&pools, i))
			poll_pool(&p, &pools.v[i]);
	if (etag_prune(p.db, clock_wall() - WEEK, err))
		return -1;
	if (!p.last.code)
		return 0;
	*err = p.last;
	return -1;
}

void
poll_release(struct poll *p)
{
	argv_release(&p->seen);
	argv_release(&p->repos);
}
