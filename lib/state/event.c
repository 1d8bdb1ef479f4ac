#include "lib/state/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/notify.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { BATCH = 64 };

int
event_add(struct db *db, const char *kind, const char *subject,
	struct json *data, struct err *err)
{
	CLEANUP_JSON struct json *owned = data;
	CLEANUP_FREE char *text = owned ? json_text(owned) : xstrdup("{}");

	return db_run(db,
		"INSERT INTO event (at, kind, subject, data)"
		" VALUES (?, ?, ?, ?)",
		NULL, err, DB_I(clock_wall()), DB_S(kind), DB_S(subject),
		DB_S(text));
}

int
event_change(struct db *db, const char *kind, const char *subject,
	struct json *data, const char *sql, const struct db_value *values,
	struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	int changes;

	if (db_begin(db, &t, err) ||
		db_run_values(db, sql, &changes, err, values)) {
		json_free(data);
		return -1;
	}
	if (!changes) {
		json_free(data);
		return err_set(err, ERR_BUSY,
			"'%s' is not in a state that allows '%s'", subject,
			kind);
	}
	if (event_add(db, kind, subject, data, err))
		return -1;
	return db_commit(&t, err);
}

int
event_last(struct db *db, int64_t *ret_seq, struct err *err)
{
	return db_get_int(db, ret_seq,
		"SELECT coalesce(max(seq), 0) FROM event", err);
}

struct batch {
	struct json *events[BATCH];
	int64_t seq[BATCH];
	size_t n;
};

static void
batch_release(struct batch *b)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		json_free(b->events[i]);
	b->n = 0;
}

static struct json *
event_of_row(const struct db_rows *r)
{
	struct json *o = json_object(), *data;
	const char *text = db_text(r, 4);
	struct err ignored = ERR_INIT;

	/* Only a hand that edited the table can have broken it. */
	if (json_parse(text, strlen(text), &data, &ignored))
		data = json_string(text);
	json_put_int(o, "seq", db_int(r, 0));
	json_put_int(o, "at", db_int(r, 1));
	json_put_str(o, "kind", db_text(r, 2));
	json_put_str(o, "subject", db_text(r, 3));
	json_put(o, "data", data);
	return o;
}

static int
batch_read(struct db *db, int64_t since, struct batch *b, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	if (db_query(db, &r,
		"SELECT seq, at, kind, subject, data FROM event"
		" WHERE seq > ? ORDER BY seq LIMIT ?",
		err, DB_I(since), DB_I(BATCH)))
		return -1;
	while ((rc = db_next(r, err)) == 1) {
		b->seq[b->n] = db_int(r, 0);
		b->events[b->n++] = event_of_row(r);
	}
	return rc;
}

static int
batch_emit(struct batch *b, int64_t *since,
	int (*emit)(struct json *event, void *arg), void *arg)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < b->n && !rc; i++) {
		*since = b->seq[i];
		rc = emit(steal_ptr(&b->events[i]), arg);
	}
	return rc;
}

int
event_each(struct db *db, int64_t *since,
	int (*emit)(struct json *event, void *arg), void *arg, struct err *err)
{
	size_t n;
	int rc;

	do {
		__attribute__((cleanup(batch_release))) struct batch b;

		b.n = 0;
		if (batch_read(db, *since, &b, err))
			return -1;
		n = b.n;
		rc = batch_emit(&b, since, emit, arg);
	} while (!rc && n == BATCH);
	return rc;
}

int
event_watch_open(struct state *st, int *ret_fd, struct err *err)
{
	CLEANUP_CLOSE int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CLEANUP_FREE char *path = NULL;

	if (fd < 0)
		return err_sys(err, "cannot watch for events");
	if (notify_make(st, err))
		return -1;
	path = xasprintf("%s/%s", state_path(st), NOTIFY_PATH);
	if (inotify_add_watch(fd, path, IN_CLOSE_WRITE) < 0)
		return err_sys(err, "cannot watch '%s'", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

void
event_watch_clear(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}
