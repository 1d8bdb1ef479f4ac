/* The open jobs of our table that no run told of; see poll.h. */
#include "lib/runner/poll_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/tell.h"
#include "lib/runner/github.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/base/banned.h"

enum { MINUTES_2 = 120000, AT_ONCE = 500 };

static bool
has(const struct argv *list, const char *s)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!strcasecmp(list->v[i], s))
			return true;
	return false;
}

/* "ID" and "REPO" by turns, oldest first. */
static int
open_jobs(struct poll *p, struct argv *ret, struct err *err)
{
	static const char sql[] =
		"SELECT id, repo FROM job WHERE state <> 'completed' AND "
		"updated_at < ?1 ORDER BY id LIMIT ?2";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(p->db, &rows, sql, err, DB_I(clock_wall() - MINUTES_2),
		DB_I(AT_ONCE)))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		if (!has(&p->repos, db_text(rows, 1)) ||
			has(&p->seen, db_text(rows, 0)))
			continue;
		argv_push(ret, db_text(rows, 0));
		argv_push(ret, db_text(rows, 1));
	}
	return rc;
}

static int
bury(struct poll *p, const char *id, const char *repo, struct err *err)
{
	static const char sql[] =
		"UPDATE job SET state = 'completed', conclusion = 'gone', "
		"completed_at = ?2, updated_at = ?2 WHERE id = ?1 AND "
		"state <> 'completed'";
	struct json *data = json_object();

	json_put_str(data, "repo", repo);
	json_put_str(data, "conclusion", "gone");
	if (event_change(p->db, "job.completed", id, data, sql,
		    (const struct db_value[]){ DB_S(id), DB_I(clock_wall()),
			    DB_LAST }, err))
		return -1;
	tell_line(p->told, "job %s of '%s': gone", id, repo);
	return 0;
}

/* A single "not found" may be a stale answer of one of many servers. */
static int
missing(struct poll *p, const char *id, const char *repo, struct err *err)
{
	static const char since[] =
		"SELECT coalesce(missing_at, 0) FROM job WHERE id = ?1";
	static const char mark[] =
		"UPDATE job SET missing_at = ?2 WHERE id = ?1 AND "
		"missing_at IS NULL";
	CLEANUP_TXN struct txn t = TXN_INIT;
	int64_t at;

	if (db_get_int(p->db, &at, since, err, DB_S(id)))
		return -1;
	if (at && at < clock_wall() - MINUTES_2)
		return p->dry ? 0 : bury(p, id, repo, err);
	if (db_begin(p->db, &t, err) ||
		db_run(p->db, mark, NULL, err, DB_S(id), DB_I(clock_wall())) ||
		(!p->dry && db_commit(&t, err)))
		return -1;
	return 0;
}

static int
poll_job(struct poll *p, const char *id, const char *repo, struct err *err)
{
	CLEANUP_JSON struct json *job = NULL;
	struct err why = ERR_INIT;
	int64_t n;

	if (parse_i64(id, 1, INT64_MAX, "job", &n, err))
		return -1;
	if (!github_job(p->gh, repo, n, &job, &why))
		return poll_take(p, repo, job, err);
	if (why.code == ERR_NOTFOUND)
		return missing(p, id, repo, err);
	*err = why;
	return -1;
}

int
poll_open_jobs(struct poll *p, struct err *err)
{
	CLEANUP_ARGV struct argv open = ARGV_INIT;
	size_t i;

	if (open_jobs(p, &open, err))
		return -1;
	for (i = 0; i + 1 < open.n; i += 2)
		if (poll_job(p, open.v[i], open.v[i + 1], err))
			return -1;
	return 0;
}
