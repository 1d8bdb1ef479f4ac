#include "lib/session/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/message.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/base/banned.h"

static const char *const names[] = {
	[SESSION_PENDING] = "pending",
	[SESSION_RUNNING] = "running",
	[SESSION_WAITING] = "waiting",
	[SESSION_IDLE] = "idle",
	[SESSION_LIMITED] = "limited",
	[SESSION_COMPLETED] = "completed",
	[SESSION_FAILED] = "failed",
	[SESSION_STOPPED] = "stopped",
	[SESSION_INTERRUPTED] = "interrupted",
};
_Static_assert(ARRAY_SIZE(names) == SESSION_STATE__MAX, "a state unnamed");

static const char *const kinds[] = {
	[SESSION_PENDING] = "session.resumed",
	[SESSION_RUNNING] = "session.running",
	[SESSION_WAITING] = "session.waiting",
	[SESSION_IDLE] = "session.idle",
	[SESSION_LIMITED] = "session.limited",
	[SESSION_COMPLETED] = "session.completed",
	[SESSION_FAILED] = "session.failed",
	[SESSION_STOPPED] = "session.stopped",
	[SESSION_INTERRUPTED] = "session.interrupted",
};
_Static_assert(ARRAY_SIZE(kinds) == SESSION_STATE__MAX, "a state without event");

#define VALUES(...) ((const struct db_value[]){ __VA_ARGS__, DB_LAST })

const char *
session_state_name(enum session_state s)
{
	return names[s];
}

bool
session_over(enum session_state s)
{
	return s >= SESSION_COMPLETED;
}

void
session_release(struct session *s)
{
	free(s->id);
	free(s->provider);
	free(s->place);
	free(s->dir);
	free(s->identity);
	free(s->repo);
	free(s->base);
	free(s->branch);
	free(s->model);
	free(s->agent_session);
	free(s->supervisor);
	free(s->reason);
	json_free(s->options);
	*s = SESSION_INIT;
}

/* ---- the intent ---- */

static const char sql_create[] =
	"INSERT INTO session (id, state, provider, place, dir, identity, "
	"repo, base, branch, model, options, max_cost_microusd, max_tokens, "
	"max_turns, timeout_ms, idle_timeout_ms, supervisor, created_at, "
	"updated_at) VALUES (?1, 'pending', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
	"?10, nullif(?11, 0), nullif(?12, 0), nullif(?13, 0), "
	"nullif(?14, 0), nullif(?15, 0), ?16, ?17, ?17)";

static int
insert(struct db *db, const struct session *s, const char *self,
	struct err *err)
{
	CLEANUP_FREE char *options = s->options ? json_text(s->options) :
						  xstrdup("{}");

	if (!db_run(db, sql_create, NULL, err, DB_S(s->id), DB_S(s->provider),
		    DB_S(s->place), DB_S(s->dir), DB_S(s->identity),
		    DB_S(s->repo), DB_S(s->base), DB_S(s->branch),
		    DB_S(s->model), DB_S(options), DB_I(s->max_cost_microusd),
		    DB_I(s->max_tokens), DB_I(s->max_turns),
		    DB_I(s->timeout_ms), DB_I(s->idle_timeout_ms), DB_S(self),
		    DB_I(clock_wall())))
		return 0;
	return err->code == ERR_EXISTS ?
		err_set(err, ERR_EXISTS,
			"a session '%s' exists; 'forge-session rm' forgets one "
			"that is over", s->id) :
		-1;
}

int
session_create(struct db *db, const struct session *s, const char *message,
	struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *self = NULL;
	struct json *data;

	if (proc_identity(getpid(), &self, err) || db_begin(db, &t, err) ||
		insert(db, s, self, err) ||
		(message &&
			message_add(db, s->id, MESSAGE_TEXT, message, err)))
		return -1;
	data = json_object();
	json_put_str(data, "provider", s->provider);
	json_put_str(data, "place", s->place);
	json_put_str(data, "repo", s->repo);
	if (event_add(db, "session.requested", s->id, data, err))
		return -1;
	return db_commit(&t, err);
}

/* ---- states ---- */

/* Only what the table of transitions allows changes a row. */
#define ALLOWED                                                       \
	"WHERE id = ?1 AND EXISTS (SELECT 1 FROM session_transition " \
	"WHERE before = session.state AND after = ?2)"

#define HAS_MESSAGE                                                  \
	"EXISTS (SELECT 1 FROM message m WHERE m.session = ?1 " \
	"AND m.kind = 'message' AND m.delivered_at IS NULL)"

static int
move(struct db *db, const char *id, enum session_state to,
	struct json *data, const char *sql, const struct db_value *values,
	struct err *err)
{
	CLEANUP_SESSION struct session now = SESSION_INIT;

	if (!event_change(db, kinds[to], id, data, sql, values, err))
		return 0;
	if (err->code != ERR_BUSY || session_get(db, id, &now, err))
		return -1;
	if (to == SESSION_COMPLETED && !session_over(now.state))
		return err_set(err, ERR_EXISTS,
			"a message waits for session '%s'", id);
	return err_set(err, ERR_BUSY, "session '%s' is %s, and cannot become "
		"%s", id, names[now.state], names[to]);
}

int
session_move(struct db *db, const char *id, enum session_state to,
	const char *reason, int status, struct json *data, struct err *err)
{
	static const char sql[] =
		"UPDATE session SET state = ?2, reason = ?3, status = ?4, "
		"updated_at = ?5, limited_until = NULL, "
		"cut = state IN ('running', 'waiting', 'limited'), "
		"started_at = iif(state = 'pending', ?5, started_at), "
		"turn_at = iif(?2 = 'running' AND state <> 'waiting', ?5, "
		"turn_at), ended_at = iif(?4 IS NULL, NULL, ?5) " ALLOWED
		" AND NOT (?2 = 'completed' AND " HAS_MESSAGE ")";

	if (!data)
		data = json_object();
	if (reason)
		json_put_str(data, "reason", reason);
	if (status >= 0)
		json_put_int(data, "status", status);
	return move(db, id, to, data, sql,
		VALUES(DB_S(id), DB_S(names[to]), DB_S(reason),
			status < 0 ? DB_NULL : DB_I(status),
			DB_I(clock_wall())),
		err);
}

int
session_limit(struct db *db, const char *id, int64_t until,
	const char *reason, struct err *err)
{
	static const char sql[] =
		"UPDATE session SET state = ?2, reason = ?3, "
		"limited_until = ?4, updated_at = ?5 " ALLOWED;
	struct json *data = json_object();

	json_put_int(data, "until", until);
	json_put_str(data, "reason", reason);
	return move(db, id, SESSION_LIMITED, data, sql,
		VALUES(DB_S(id), DB_S(names[SESSION_LIMITED]), DB_S(reason),
			DB_I(until), DB_I(clock_wall())),
		err);
}

int
session_again(struct db *db, const char *id, const char *message,
	struct err *err)
{
	static const char sql[] =
		"UPDATE session SET state = 'pending', reason = NULL, "
		"status = NULL, ended_at = NULL, supervisor = ?3, "
		"updated_at = ?4 " ALLOWED;
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_SESSION struct session now = SESSION_INIT;
	CLEANUP_FREE char *self = NULL;
	int changes;

	if (proc_identity(getpid(), &self, err) || db_begin(db, &t, err) ||
		session_get(db, id, &now, err) ||
		db_run(db, sql, &changes, err, DB_S(id), DB_S("pending"),
			DB_S(self), DB_I(clock_wall())))
		return -1;
	if (!changes)
		return err_set(err, ERR_BUSY,
			"session '%s' is %s: only one that is over is resumed",
			id, names[now.state]);
	if (message && message_add(db, id, MESSAGE_TEXT, message, err))
		return -1;
	if (event_add(db, kinds[SESSION_PENDING], id, NULL, err))
		return -1;
	return db_commit(&t, err);
}

/* ---- facts ---- */

int
session_adopt(struct db *db, const char *id, struct err *err)
{
	static const char sql[] = "UPDATE session SET supervisor = ?2 "
				  "WHERE id = ?1 AND state = 'pending'";
	CLEANUP_FREE char *self = NULL;
	int changes;

	if (proc_identity(getpid(), &self, err) ||
		db_run(db, sql, &changes, err, DB_S(id), DB_S(self)))
		return -1;
	return changes ? 0 :
			 err_set(err, ERR_BUSY,
				 "session '%s' does not wait for a supervisor",
				 id);
}

int
session_dir_is(struct db *db, const char *id, const char *dir,
	struct err *err)
{
	return db_run(db, "UPDATE session SET dir = ?2 WHERE id = ?1", NULL,
		err, DB_S(id), DB_S(dir));
}

int
session_agent_is(struct db *db, const char *id, const char *agent,
	const char *model, struct err *err)
{
	static const char sql[] =
		"UPDATE session SET agent_session = coalesce(?2, "
		"agent_session), model = coalesce(?3, model) WHERE id = ?1";

	return db_run(db, sql, NULL, err, DB_S(id), DB_S(agent), DB_S(model));
}

int
session_used(struct db *db, const char *id, const struct session_usage *u,
	struct err *err)
{
	static const char sql[] =
		"UPDATE session SET cost_microusd = ?2, tokens_in = ?3, "
		"tokens_out = ?4, turns = ?5 WHERE id = ?1";

	return db_run(db, sql, NULL, err, DB_S(id), DB_I(u->cost_microusd),
		DB_I(u->tokens_in), DB_I(u->tokens_out), DB_I(u->turns));
}
