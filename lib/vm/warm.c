#include "lib/vm/warm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/vm/channel.h"
#include "lib/vm/control.h"
#include "lib/vm/digest.h"
#include "lib/vm/pause.h"
#include "lib/vm/supervise.h"
#include "lib/base/banned.h"

/* ---- the pools ---- */

/* Of the shape, so that each has one pool; caller frees. */
static char *
pool_name(const struct vm_spec *s)
{
	CLEANUP_FREE char *text = xasprintf("%s %s %s %d %lld", s->image,
		s->driver, s->net, s->cpus, (long long)(s->memory >> 20));
	struct digest d;

	digest_bytes(text, strlen(text), &d);
	return xasprintf("warm-%.12s", d.hex);
}

int
warm_set(struct state *st, const struct vm_spec *s, int wanted,
	struct err *err)
{
	static const char sql[] =
		"INSERT INTO warm (snapshot, image, driver, net, cpus, "
		"memory_mb, wanted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
		"ON CONFLICT (snapshot) DO UPDATE SET wanted = ?7";
	CLEANUP_FREE char *name = pool_name(s);
	struct db *db;

	return state_db(st, &db, err) ? -1 :
		db_run(db, sql, NULL, err, DB_S(name), DB_S(s->image),
			DB_S(s->driver), DB_S(s->net), DB_I(s->cpus),
			DB_I(s->memory >> 20), DB_I(wanted));
}

/* ---- taking ---- */

int
warm_list(struct state *st, const struct vm_spec *s, struct argv *ret,
	struct err *err)
{
	static const char sql[] =
		"SELECT name FROM vm WHERE state = 'paused' AND warm = ?1 "
		"ORDER BY ready_at";
	CLEANUP_FREE char *pool = pool_name(s);
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows, sql, err, DB_S(pool)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

int
warm_take(struct state *st, const char *name, const struct warm_how *how,
	int *ret_sock, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL;

	json_put_bool(o, "run", how->run);
	if (!how->run) {
		json_put_int(o, "ttl", how->spec->ttl);
		json_put_int(o, "idle", how->spec->idle);
		json_put_bool(o, "restart", how->spec->restart);
		json_put_str(o, "argv", how->spec->argv);
	}
	text = json_text(o);
	return supervisor_ask_keep(st, name, CHANNEL_TAKE, text, ret_sock,
		err);
}

/* ---- the rows ---- */

int
warm_waits(struct db *db, const char *name, const char *snapshot,
	struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET state = 'paused', warm = ?2, ready_at = ?3 "
		"WHERE name = ?1 AND state = 'starting'";

	return event_change(db, "vm.warm", name, NULL, sql,
		(const struct db_value[]){ DB_S(name), DB_S(snapshot),
			DB_I(clock_wall()), DB_LAST },
		err);
}

int
warm_taken(struct db *db, const struct vm_spec *s, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET state = 'starting', warm = NULL, keep = ?2, "
		"ttl_ms = ?3, idle_ms = ?4, restart = ?5, argv = ?6, "
		"created_at = ?7, ready_at = NULL "
		"WHERE name = ?1 AND state = 'paused' AND warm IS NOT NULL";

	return event_change(db, "vm.taken", s->name, NULL, sql,
		(const struct db_value[]){ DB_S(s->name), DB_I(s->keep),
			DB_I(s->ttl), DB_I(s->idle), DB_I(s->restart),
			DB_S(s->argv), DB_I(clock_wall()), DB_LAST },
		err);
}

int
warm_drain(struct state *st, const char *image, struct err *err)
{
	static const char sql[] =
		"SELECT name FROM vm WHERE image = ?1 AND warm IS NOT NULL";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct db *db;
	size_t i;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows, sql, err, DB_S(image)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(&names, db_text(rows, 0));
	if (rc)
		return -1;
	db_done(rows);
	rows = NULL;
	for (i = 0; i < names.n; i++)
		if (vm_destroy(st, names.v[i], err) &&
			err->code != ERR_NOTFOUND)
			return -1;
	*err = ERR_INIT;
	return 0;
}
