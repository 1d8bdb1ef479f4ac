#include "lib/session/session.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/keeper.h"
#include "lib/session/message.h"
#include "lib/session/remains.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static enum session_state
state_of(const char *name)
{
	int i;

	for (i = 0; i < SESSION_STATE__MAX; i++)
		if (!strcmp(name, session_state_name((enum session_state)i)))
			return (enum session_state)i;
	BUG("the database has a session in state '%s'", name);
}

static int
unknown(const char *id, struct err *err)
{
	return err_set(err, ERR_NOTFOUND,
		"no session '%s'; 'forge-session list --all' shows all", id);
}

static void
fill_texts(const struct db_rows *rows, struct session *s)
{
	char **const texts[] = { &s->id, &s->provider, &s->place, &s->dir,
		&s->identity, &s->repo, &s->base, &s->branch, &s->model,
		&s->agent_session, &s->supervisor, &s->reason };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		*texts[i] = xstrdup_null(db_text(rows, (int)i));
}

static void
fill_numbers(const struct db_rows *rows, struct session *s)
{
	int64_t *const numbers[] = { &s->cost_microusd, &s->tokens_in,
		&s->tokens_out, &s->turns, &s->max_cost_microusd,
		&s->max_tokens, &s->max_turns, &s->timeout_ms,
		&s->idle_timeout_ms, &s->limited_until, &s->created_at };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		*numbers[i] = db_int(rows, 12 + (int)i);
	s->status = db_null(rows, 23) ? -1 : (int)db_int(rows, 23);
}

int
session_get(struct db *db, const char *id, struct session *ret,
	struct err *err)
{
	static const char sql[] =
		"SELECT id, provider, place, dir, identity, repo, base, "
		"branch, model, agent_session, supervisor, reason, "
		"cost_microusd, tokens_in, tokens_out, turns, "
		"max_cost_microusd, max_tokens, max_turns, timeout_ms, "
		"idle_timeout_ms, limited_until, created_at, status, state, "
		"options, started_at IS NOT NULL, cut FROM session WHERE id = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	const char *options;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(id)))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc ? -1 : unknown(id, err);
	*ret = SESSION_INIT;
	options = db_text(rows, 25);
	if (json_parse(options, strlen(options), &ret->options, err))
		return -1;
	fill_texts(rows, ret);
	fill_numbers(rows, ret);
	ret->state = state_of(db_text(rows, 24));
	ret->started = db_int(rows, 26) != 0;
	ret->cut = db_int(rows, 27) != 0;
	return 0;
}

#define COLUMNS                                                           \
	"json_object('id', id, 'state', state, 'provider', provider, "    \
	"'model', model, 'place', place, 'dir', dir, 'identity', "        \
	"identity, 'repo', repo, 'base', base, 'branch', branch, "        \
	"'agent_session', agent_session, 'turns', turns, 'cost_usd', "    \
	"cost_microusd / 1e6, 'tokens_in', tokens_in, 'tokens_out', "     \
	"tokens_out, 'max_cost_usd', max_cost_microusd / 1e6, "           \
	"'max_tokens', max_tokens, 'max_turns', max_turns, 'timeout_ms', " \
	"timeout_ms, 'idle_timeout_ms', idle_timeout_ms, "                \
	"'limited_until', limited_until, 'status', status, 'reason', "    \
	"reason, 'options', json(options), 'messages_waiting', "          \
	"(SELECT count(*) FROM message m WHERE m.session = session.id "   \
	"AND m.delivered_at IS NULL), 'asks_open', (SELECT count(*) FROM " \
	"ask a WHERE a.session = session.id AND a.state = 'open'), "      \
	"'created_at', created_at, 'started_at', started_at, 'turn_at', " \
	"turn_at, 'ended_at', ended_at) FROM session "
#define OVER "state IN ('completed', 'failed', 'stopped', 'interrupted')"

int
session_each(struct db *db, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS "WHERE ?1 OR NOT " OVER
				  " ORDER BY " OVER
				  ", created_at DESC, id";

	return rows_each(db, sql,
		(const struct db_value[]){ DB_I(all), DB_LAST }, emit, arg,
		err);
}

int
session_show(struct db *db, const char *id, struct json **ret,
	struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS "WHERE id = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	const char *text;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(id)))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc ? -1 : unknown(id, err);
	text = db_text(rows, 0);
	return json_parse(text, strlen(text), ret, err);
}

int
session_forget(struct state *st, const char *id, struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *dir = NULL;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err) ||
		session_get(db, id, &s, err))
		return -1;
	if (!session_over(s.state))
		return err_set(err, ERR_BUSY,
			"session '%s' is %s; stop it first: forge-session stop "
			"%s", id, session_state_name(s.state), id);
	if (db_run(db, "DELETE FROM session WHERE id = ?1", NULL, err,
		    DB_S(id)) ||
		event_add(db, "session.forgotten", id, NULL, err) ||
		db_commit(&t, err))
		return -1;
	dir = xasprintf("session/%s", id);
	return fs_remove_tree(state_dir(st), dir, err);
}

/* ---- after a crash ---- */

int
session_cut_limited(struct db *db, struct argv *ret, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, "SELECT id FROM session"
		" WHERE state = 'interrupted' AND limited_until IS NOT NULL"
		" ORDER BY limited_until", err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

int
session_stop(struct state *st, const char *id, struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;
	pid_t pid;

	if (session_repair(st, id, err) || state_db(st, &db, err) ||
		session_get(db, id, &s, err))
		return -1;
	if (session_over(s.state))
		return 0;
	if (message_send(st, id, MESSAGE_STOP, NULL, err))
		return -1;
	pid = s.state == SESSION_PENDING && s.supervisor ?
		proc_find(s.supervisor) : 0;
	if (pid)
		(void)kill(pid, SIGTERM); /* or it has just ended */
	return 0;
}

/* One that was told to stop, and died before it read that, did so. */
static int
bury(struct db *db, const char *id, struct err *err)
{
	static const char sql_stop[] =
		"UPDATE message SET delivered_at = ?2 WHERE session = ?1 "
		"AND kind = 'stop' AND delivered_at IS NULL";
	static const char sql_asks[] =
		"UPDATE ask SET state = 'withdrawn' "
		"WHERE session = ?1 AND state = 'open'";
	static const char sql[] =
		"UPDATE session SET state = ?4, status = ?5, "
		"reason = ?2, ended_at = ?3, updated_at = ?3, "
		"limited_until = iif(state = 'limited', limited_until, NULL), "
		"cut = state <> 'idle' "
		"WHERE id = ?1 AND NOT " OVER;
	CLEANUP_TXN struct txn t = TXN_INIT;
	int64_t now = clock_wall();
	struct json *data;
	const char *why;
	int told, changes;

	if (db_begin(db, &t, err) ||
		db_run(db, sql_stop, &told, err, DB_S(id), DB_I(now)))
		return -1;
	why = told ? "stopped" : "its supervisor died";
	if (db_run(db, sql, &changes, err, DB_S(id), DB_S(why), DB_I(now),
		    DB_S(told ? "stopped" : "interrupted"),
		    DB_I(told ? EXIT_SIGNAL + SIGTERM : 1)) ||
		db_run(db, sql_asks, NULL, err, DB_S(id)))
		return -1;
	if (!changes)
		return 0;
	data = json_object();
	json_put_str(data, "reason", why);
	if (event_add(db, told ? "session.stopped" : "session.interrupted", id,
		    data, err))
		return -1;
	return db_commit(&t, err);
}

/*
 * The lock alone tells, but for a row that is pending: between the row and
 * the lock the process named in the row is at it.
 */
static int
repair_one(struct state *st, struct db *db, const char *id, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct err none = ERR_INIT;

	if (state_lock(st, "session", id, 0, 0, &lock, &none))
		return none.code == ERR_BUSY ? 0 : (*err = none, -1);
	/* With the lock in our hand nothing moves the row. */
	if (session_get(db, id, &s, &none))
		return none.code == ERR_NOTFOUND ? 0 : (*err = none, -1);
	if (session_over(s.state) ||
		(s.state == SESSION_PENDING && s.supervisor &&
			proc_find(s.supervisor)))
		return 0;
	session_kill_remains(st, id);
	/* Its files are worth less than that the row says what is so. */
	if (keeper_finish(st, &s, &none))
		log_warning("session.keeper", "id", id, "error", none.msg,
			NULL);
	return bury(db, id, err);
}

int
session_repair(struct state *st, const char *id, struct err *err)
{
	static const char sql[] =
		"SELECT id FROM session WHERE state IN ('pending', "
		"'running', 'waiting', 'idle', 'limited') "
		"AND (?1 IS NULL OR id = ?1)";
	CLEANUP_ARGV struct argv ids = ARGV_INIT;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	size_t i;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows, sql, err, DB_S(id)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(&ids, db_text(rows, 0));
	if (rc)
		return -1;
	for (i = 0; i < ids.n; i++)
		if (repair_one(st, db, ids.v[i], err))
			return -1;
	return 0;
}
