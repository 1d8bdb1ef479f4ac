#include "lib/runner/runner.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/runner/pool.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static const char *const results[] = {
	[RUNNER_SUCCEEDED] = "succeeded",
	[RUNNER_FAILED] = "failed",
	[RUNNER_CANCELLED] = "cancelled",
	[RUNNER_SKIPPED] = "skipped",
	[RUNNER_ABANDONED] = "abandoned",
	[RUNNER_UNUSED] = "unused",
	[RUNNER_LOST] = "lost",
	[RUNNER_ERROR] = "error",
};
_Static_assert(ARRAY_SIZE(results) == RUNNER_RESULT__MAX, "a result unnamed");

const char *
runner_result_name(enum runner_result r)
{
	return results[r];
}

void
runner_release(struct runner *r)
{
	free(r->name);
	free(r->pool);
	free(r->scope);
	free(r->state);
	free(r->supervisor);
	free(r->vm);
	*r = RUNNER_INIT;
}

static const char sql_create[] =
	"INSERT INTO runner (name, pool, scope, labels, place, state, vm, "
	"supervisor, created_at, cpus, memory, on_demand, hold_ms) VALUES (?1, "
	"?2, ?3, ?4, ?5, 'starting', ?6, ?7, ?8, ?9, ?10, ?11, "
	"nullif(?12, 0))";

int
runner_create(struct db *db, const char *name, const struct pool *pool,
	const char *labels, bool on_demand, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *self = NULL;
	bool vm = !strncmp(pool->place, "vm:", 3);
	struct json *data = json_object();

	json_put_str(data, "pool", pool->name);
	json_put_str(data, "scope", pool->scope);
	json_put_str(data, "place", pool->place);
	if (proc_identity(getpid(), &self, err) || db_begin(db, &t, err)) {
		json_free(data);
		return -1;
	}
	if (db_run(db, sql_create, NULL, err, DB_S(name), DB_S(pool->name),
		    DB_S(pool->scope), DB_S(labels), DB_S(pool->place),
		    DB_S(vm ? name : NULL), DB_S(self), DB_I(clock_wall()),
		    DB_I(pool->cpus), DB_I(pool->memory), DB_I(on_demand),
		    DB_I(pool->hold))) {
		json_free(data);
		if (err->code == ERR_EXISTS)
			return err_set(err, ERR_EXISTS,
				"a runner named '%s' exists or existed", name);
		return -1;
	}
	if (event_add(db, "runner.requested", name, data, err))
		return -1;
	return db_commit(&t, err);
}

#define VALUES(...) ((const struct db_value[]){ __VA_ARGS__, DB_LAST })

int
runner_booted(struct db *db, const char *name, struct err *err)
{
	/* Whoever looks later wants to know what it ran in. */
	static const char sql[] =
		"UPDATE runner SET state = 'booted', booted_at = ?2, "
		"image = (SELECT v.image FROM vm v WHERE v.name = runner.vm), "
		"digest = (SELECT i.digest FROM vm v JOIN image i "
		"ON i.name = v.image WHERE v.name = runner.vm), "
		"address = (SELECT a.address FROM vm_address a "
		"WHERE a.vm = runner.vm) "
		"WHERE name = ?1 AND state = 'starting'";

	return event_change(db, "runner.booted", name, NULL, sql,
		VALUES(DB_S(name), DB_I(clock_wall())), err);
}

int
runner_registering(struct db *db, const char *name, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET state = 'registering', registered = 1 "
		"WHERE name = ?1 AND state = 'booted'";

	return event_change(db, "runner.registering", name, NULL, sql,
		VALUES(DB_S(name)), err);
}

/*
 * The webhook may have made it busy before our own row says idle: the state
 * moves on only from 'registering'.
 */
int
runner_registered(struct db *db, const char *name, int64_t github_id,
	struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET github_id = ?2, registered_at = ?3, "
		"state = iif(state = 'registering', 'idle', state) "
		"WHERE name = ?1 AND state IN ('registering', 'busy')";
	struct json *data = json_object();

	json_put_int(data, "github_id", github_id);
	return event_change(db, "runner.registered", name, data, sql,
		VALUES(DB_S(name), DB_I(github_id), DB_I(clock_wall())),
		err);
}

int
runner_handed(struct db *db, const char *name, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET registered_at = ?2, state = 'idle' "
		"WHERE name = ?1 AND state = 'booted'";

	return event_change(db, "runner.registered", name, NULL, sql,
		VALUES(DB_S(name), DB_I(clock_wall())), err);
}

int
runner_adopted(struct db *db, const char *name, int64_t *ret_registered_at,
	struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET supervisor = ?2 "
		"WHERE name = ?1 AND state IN ('idle', 'busy')";
	CLEANUP_FREE char *self = NULL;

	if (proc_identity(getpid(), &self, err) ||
		event_change(db, "runner.adopted", name, NULL, sql,
			VALUES(DB_S(name), DB_S(self)), err))
		return -1;
	return db_get_int(db, ret_registered_at, "SELECT "
		"coalesce(registered_at, created_at) FROM runner "
		"WHERE name = ?1", err, DB_S(name));
}

static int
end(struct db *db, const char *sql, const char *name, const char *reason,
	struct err *err)
{
	struct json *data = json_object();

	json_put_str(data, "reason", reason);
	return event_change(db, "runner.ending", name, data, sql,
		VALUES(DB_S(name), DB_S(reason)), err);
}

int
runner_ending(struct db *db, const char *name, const char *reason,
	struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET state = 'ending', reason = ?2 "
		"WHERE name = ?1 AND state NOT IN ('ending', 'done')";

	return end(db, sql, name, reason, err);
}

int
runner_unwanted(struct db *db, const char *name, const char *reason,
	struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET state = 'ending', reason = ?2 "
		"WHERE name = ?1 AND registered = 0 "
		"AND state IN ('starting', 'booted')";

	return end(db, sql, name, reason, err);
}

int
runner_asked(struct db *db, const char *name, struct err *err)
{
	return db_run(db, "UPDATE runner SET asked_at = ?2 WHERE name = ?1",
		NULL, err, DB_S(name), DB_I(clock_wall()));
}

int
runner_done(struct db *db, const char *name, enum runner_result result,
	const char *reason, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET state = 'done', done_at = ?2, result = ?3, "
		"reason = coalesce(?4, reason) "
		"WHERE name = ?1 AND state <> 'done'";
	struct json *data = json_object();

	json_put_str(data, "result", results[result]);
	if (reason)
		json_put_str(data, "reason", reason);
	return event_change(db, "runner.done", name, data, sql,
		VALUES(DB_S(name), DB_I(clock_wall()),
			DB_S(results[result]), DB_S(reason)),
		err);
}

int
runner_version_is(struct db *db, const char *name, const char *version,
	struct err *err)
{
	return db_run(db, "UPDATE runner SET version = ?2 WHERE name = ?1",
		NULL, err, DB_S(name), DB_S(version));
}

int
runner_held(struct db *db, const char *name, int64_t until, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET state = 'held', held_until = ?2 "
		"WHERE name = ?1 AND state NOT IN ('held', 'done')";
	struct json *data = json_object();

	json_put_int(data, "until", until);
	return event_change(db, "runner.held", name, data, sql,
		VALUES(DB_S(name), DB_I(until)), err);
}

int
runner_hold(struct db *db, const char *name, int64_t ms, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET hold_ms = nullif(?2, 0), "
		"held_until = iif(state = 'held', ?3, NULL) "
		"WHERE name = ?1 AND state <> 'done'";
	CLEANUP_RUNNER struct runner r = RUNNER_INIT;
	int changes;

	if (runner_get(db, name, &r, err) ||
		db_run(db, sql, &changes, err, DB_S(name), DB_I(ms),
			DB_I(clock_wall() + ms)))
		return -1;
	return changes ? 0 :
			 err_set(err, ERR_BUSY,
				 "runner '%s' is done: there is nothing left "
				 "to hold", name);
}

int
runner_removed(struct db *db, const char *name, struct err *err)
{
	static const char sql[] =
		"UPDATE runner SET registered = 0 "
		"WHERE name = ?1 AND registered = 1";

	return event_change(db, "runner.removed", name, NULL, sql,
		VALUES(DB_S(name)), err);
}

static int
unknown(const char *name, struct err *err)
{
	return err_set(err, ERR_NOTFOUND,
		"no runner '%s'; 'forge-runner list --all' shows all", name);
}

int
runner_get(struct db *db, const char *name, struct runner *ret,
	struct err *err)
{
	static const char sql[] =
		"SELECT pool, scope, state, supervisor, vm, github_id, job, "
		"registered, asked_at, hold_ms, held_until FROM runner "
		"WHERE name = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc ? -1 : unknown(name, err);
	*ret = RUNNER_INIT;
	ret->name = xstrdup(name);
	ret->pool = xstrdup_null(db_text(rows, 0));
	ret->scope = xstrdup(db_text(rows, 1));
	ret->state = xstrdup(db_text(rows, 2));
	ret->supervisor = xstrdup_null(db_text(rows, 3));
	ret->vm = xstrdup_null(db_text(rows, 4));
	ret->github_id = db_int(rows, 5);
	ret->job = db_int(rows, 6);
	ret->registered = db_int(rows, 7) != 0;
	ret->asked = !db_null(rows, 8);
	ret->hold_ms = db_int(rows, 9);
	ret->held_until = db_int(rows, 10);
	return 0;
}

#define COLUMNS                                                            \
	"json_object('name', r.name, 'state', r.state, 'pool', r.pool, "   \
	"'scope', r.scope, 'labels', json(r.labels), 'place', r.place, "   \
	"'github_id', r.github_id, 'registered', "                         \
	"json(iif(r.registered, 'true', 'false')), 'vm', r.vm, "           \
	"'job', r.job, 'repo', j.repo, 'workflow', j.workflow, "           \
	"'job_name', j.name, 'run', j.run_id, 'result', r.result, "        \
	"'reason', r.reason, 'version', r.version, 'image', r.image, "      \
	"'digest', r.digest, 'address', r.address, 'cpus', r.cpus, "       \
	"'memory', r.memory, 'held_until', r.held_until, 'created_at', r.created_at, 'booted_at', "    \
	"r.booted_at, 'registered_at', r.registered_at, 'busy_at', "       \
	"r.busy_at, 'done_at', r.done_at) "                                \
	"FROM runner r LEFT JOIN job j ON j.id = r.job "

static int
parse_row(const struct db_rows *rows, struct json **ret, struct err *err)
{
	const char *text = db_text(rows, 0);

	return json_parse(text, strlen(text), ret, err);
}

int
runner_each(struct db *db, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS
		"WHERE r.state <> 'done' OR ?1 "
		"ORDER BY r.state = 'done', r.created_at DESC, r.name";
	return rows_each(db, sql,
		(const struct db_value[]){ DB_I(all), DB_LAST }, emit, arg, err);
}

int
runner_show(struct db *db, const char *name, struct json **ret,
	struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS "WHERE r.name = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc ? -1 : unknown(name, err);
	return parse_row(rows, ret, err);
}

int
runner_forget(struct state *st, const char *name, struct err *err)
{
	static const char sql[] =
		"DELETE FROM runner WHERE name = ?1 AND state = 'done' "
		"AND registered = 0";
	CLEANUP_RUNNER struct runner r = RUNNER_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *dir = NULL;
	struct db *db;
	int changes;

	if (state_db(st, &db, err) || runner_get(db, name, &r, err) ||
		db_begin(db, &t, err) ||
		db_run(db, sql, &changes, err, DB_S(name)))
		return -1;
	if (!changes && strcmp(r.state, "done") != 0)
		return err_set(err, ERR_BUSY,
			"runner '%s' is %s; stop it first: forge-runner stop %s",
			name, r.state, name);
	if (!changes)
		return err_set(err, ERR_BUSY,
			"runner '%s' is still registered at GitHub; remove it "
			"with: forge-runner sync", name);
	if (event_add(db, "runner.forgotten", name, NULL, err) ||
		db_commit(&t, err))
		return -1;
	dir = xasprintf("runner/%s", name);
	return fs_remove_tree(state_dir(st), dir, err);
}
