#include "lib/session/message.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/session.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static const char *const kinds[] = {
	[MESSAGE_TEXT] = "message",
	[MESSAGE_INTERRUPT] = "interrupt",
	[MESSAGE_STOP] = "stop",
};
_Static_assert(ARRAY_SIZE(kinds) == MESSAGE_KIND__MAX, "a kind unnamed");

void
message_release(struct message *m)
{
	free(m->text);
	*m = MESSAGE_INIT;
}

int
message_add(struct db *db, const char *session, enum message_kind kind,
	const char *text, struct err *err)
{
	static const char sql[] =
		"INSERT INTO message (session, kind, text, created_at) "
		"VALUES (?1, ?2, ?3, ?4)";

	if (text && strlen(text) > MESSAGE_MAX)
		return err_set(err, ERR_LIMIT,
			"a message has at most %u MiB", MESSAGE_MAX >> 20);
	return db_run(db, sql, NULL, err, DB_S(session), DB_S(kinds[kind]),
		DB_S(text), DB_I(clock_wall()));
}

int
message_send(struct state *st, const char *session, enum message_kind kind,
	const char *text, struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	CLEANUP_CLOSE int bell = -1;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data;
	struct db *db;

	if (state_db(st, &db, err) ||
		session_bell_open(st, session, &bell, err) ||
		db_begin(db, &t, err) || session_get(db, session, &s, err))
		return -1;
	if (session_over(s.state))
		return err_set(err, ERR_BUSY,
			"session '%s' is %s; go on with: forge-session resume "
			"%s", session, session_state_name(s.state), session);
	if (message_add(db, session, kind, text, err))
		return -1;
	data = json_object();
	json_put_str(data, "kind", kinds[kind]);
	if (event_add(db, "session.told", session, data, err))
		return -1;
	return db_commit(&t, err);
}

int
message_next(struct db *db, const char *session, enum message_kind kind,
	struct message *ret, struct err *err)
{
	static const char sql[] =
		"SELECT id, text FROM message WHERE session = ?1 "
		"AND kind = ?2 AND delivered_at IS NULL ORDER BY id LIMIT 1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(session), DB_S(kinds[kind])))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc;
	ret->id = db_int(rows, 0);
	ret->kind = kind;
	ret->text = xstrdup_null(db_text(rows, 1));
	return 1;
}

int
message_delivered(struct db *db, int64_t id, struct err *err)
{
	return db_run(db, "UPDATE message SET delivered_at = ?2 WHERE id = ?1",
		NULL, err, DB_I(id), DB_I(clock_wall()));
}

/* ---- the bell ---- */

static char *
bell_path(const char *session)
{
	return xasprintf("session/%s/bell", session);
}

int
session_bell_open(struct state *st, const char *session, int *ret_fd,
	struct err *err)
{
	CLEANUP_FREE char *path = bell_path(session);
	int fd = openat(state_dir(st), path,
		O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	/* No supervisor has begun yet: it will look at the rows then. */
	if (fd < 0 && fs_exists(state_dir(st), path))
		return err_sys(err, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

int
session_bell_watch(struct state *st, const char *session, int *ret_fd,
	struct err *err)
{
	CLEANUP_FREE char *path = bell_path(session);
	CLEANUP_FREE char *full = xasprintf("%s/%s", state_path(st), path);
	CLEANUP_CLOSE int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CLEANUP_CLOSE int bell = openat(state_dir(st), path,
		O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || bell < 0 ||
		inotify_add_watch(fd, full, IN_CLOSE_WRITE) < 0)
		return err_sys(err, "cannot watch '%s'", full);
	*ret_fd = steal_fd(&fd);
	return 0;
}
