#include "lib/session/ask.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/session/message.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

void
ask_release(struct ask *a)
{
	free(a->session);
	free(a->request);
	free(a->tool);
	free(a->state);
	free(a->answered_by);
	json_free(a->data);
	json_free(a->answer);
	*a = ASK_INIT;
}

int
ask_create(struct db *db, const char *session, const struct json *data,
	int64_t *ret_id, struct err *err)
{
	static const char sql[] =
		"INSERT INTO ask (session, request, tool, data, created_at) "
		"VALUES (?1, ?2, ?3, ?4, ?5)";
	static const char sql_state[] =
		"UPDATE session SET state = 'waiting', updated_at = ?2 "
		"WHERE id = ?1 AND state = 'running'";
	CLEANUP_FREE char *text = json_text(data);
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *event;

	if (db_begin(db, &t, err) ||
		db_run(db, sql, NULL, err, DB_S(session),
			DB_S(json_str(data, "request", "")),
			DB_S(json_str(data, "tool", NULL)), DB_S(text),
			DB_I(clock_wall())) ||
		db_get_int(db, ret_id, "SELECT last_insert_rowid()", err,
			DB_LAST) ||
		db_run(db, sql_state, NULL, err, DB_S(session),
			DB_I(clock_wall())))
		return -1;
	event = json_object();
	json_put_int(event, "ask", *ret_id);
	json_put_str(event, "tool", json_str(data, "tool", NULL));
	if (event_add(db, "session.waiting", session, event, err))
		return -1;
	return db_commit(&t, err);
}

#define COLUMNS                                                         \
	"SELECT id, session, request, tool, state, answered_by, data, " \
	"answer, created_at, expires_at FROM ask "

static int
parse(const char *text, struct json **ret, struct err *err)
{
	*ret = NULL;
	return text ? json_parse(text, strlen(text), ret, err) : 0;
}

static int
one(struct db_rows *rows, struct ask *ret, struct err *err)
{
	int rc = db_next(rows, err);

	if (rc <= 0)
		return rc;
	*ret = ASK_INIT;
	if (parse(db_text(rows, 6), &ret->data, err) ||
		parse(db_text(rows, 7), &ret->answer, err))
		return -1;
	ret->id = db_int(rows, 0);
	ret->session = xstrdup(db_text(rows, 1));
	ret->request = xstrdup(db_text(rows, 2));
	ret->tool = xstrdup_null(db_text(rows, 3));
	ret->state = xstrdup(db_text(rows, 4));
	ret->answered_by = xstrdup_null(db_text(rows, 5));
	ret->created_at = db_int(rows, 8);
	ret->expires_at = db_int(rows, 9);
	return 1;
}

int
ask_get(struct db *db, int64_t id, struct ask *ret, struct err *err)
{
	static const char sql[] = COLUMNS "WHERE id = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_I(id)))
		return -1;
	rc = one(rows, ret, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	return err_set(err, ERR_NOTFOUND,
		"no ask %" PRId64 "; 'forge-session asks' lists those that "
		"are open", id);
}

int
ask_answer(struct state *st, int64_t id, bool allow,
	const struct json *answer, const char *by, struct err *err)
{
	static const char sql[] =
		"UPDATE ask SET state = ?2, answer = ?3, answered_by = ?4, "
		"answered_at = ?5 WHERE id = ?1 AND state = 'open'";
	CLEANUP_ASK struct ask a = ASK_INIT;
	CLEANUP_FREE char *text = answer ? json_text(answer) : NULL;
	CLEANUP_CLOSE int bell = -1;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *event;
	struct db *db;
	int changes;

	if (state_db(st, &db, err) || ask_get(db, id, &a, err) ||
		session_bell_open(st, a.session, &bell, err) ||
		db_begin(db, &t, err) ||
		db_run(db, sql, &changes, err, DB_I(id),
			DB_S(allow ? "allowed" : "denied"), DB_S(text),
			DB_S(by), DB_I(clock_wall())))
		return -1;
	if (!changes)
		return err_set(err, ERR_BUSY,
			"ask %" PRId64 " is not open any more", id);
	event = json_object();
	json_put_int(event, "ask", id);
	json_put_bool(event, "allow", allow);
	json_put_str(event, "by", by);
	if (event_add(db, "session.answered", a.session, event, err))
		return -1;
	return db_commit(&t, err);
}

int
ask_answered(struct db *db, const char *session, struct ask *ret,
	struct err *err)
{
	static const char sql[] = COLUMNS
		"WHERE session = ?1 AND state IN ('allowed', 'denied') "
		"AND delivered_at IS NULL ORDER BY id LIMIT 1";
	CLEANUP_ROWS struct db_rows *rows = NULL;

	if (db_query(db, &rows, sql, err, DB_S(session)))
		return -1;
	return one(rows, ret, err);
}

int
ask_delivered(struct db *db, int64_t id, struct err *err)
{
	return db_run(db, "UPDATE ask SET delivered_at = ?2 WHERE id = ?1",
		NULL, err, DB_I(id), DB_I(clock_wall()));
}

/* An answer that came too late is as good as none. */
int
ask_withdraw(struct db *db, const char *session, const char *request,
	struct err *err)
{
	static const char sql[] =
		"UPDATE ask SET state = 'withdrawn' WHERE session = ?1 "
		"AND delivered_at IS NULL AND state <> 'withdrawn' "
		"AND (?2 IS NULL OR request = ?2)";

	return db_run(db, sql, NULL, err, DB_S(session), DB_S(request));
}

int
ask_open_count(struct db *db, const char *session, int64_t *ret,
	struct err *err)
{
	static const char sql[] = "SELECT count(*) FROM ask "
				  "WHERE session = ?1 AND state = 'open'";

	return db_get_int(db, ret, sql, err, DB_S(session));
}
