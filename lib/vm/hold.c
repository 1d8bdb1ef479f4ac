#include "lib/vm/hold.h"

#include <stddef.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/vm/conn.h"
#include "lib/vm/supervise.h"
#include "lib/base/banned.h"

#define LIVE "state IN ('starting', 'running', 'paused', 'stopping')"

/* Its supervisor looks at the row when it is told to. */
static int
tell(struct state *st, const char *name, struct err *err)
{
	struct frame f = { .type = CHANNEL_PING };
	struct conn *c;
	int fd, rc;

	if (supervisor_connect(st, name, &fd, err))
		return -1;
	c = xmalloc(sizeof(*c));
	conn_init(c, fd);
	conn_send(c, &f);
	rc = conn_flush(c) ? err_sys(err, "cannot reach VM '%s'", name) : 0;
	conn_release(c);
	cleanup_free(&c);
	return rc;
}

static int
not_running(const char *name, struct err *err)
{
	if (err->code != ERR_BUSY)
		return -1;
	return err_set(err, ERR_NOTFOUND,
		"VM '%s' does not run; 'forge-vm list' shows those there are",
		name);
}

int
vm_hold(struct state *st, const char *name, int64_t until, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET hold_until = ?2 WHERE name = ?1 AND " LIVE;
	struct json *data = json_object();
	struct db *db;

	if (until < HOLD_FOREVER)
		json_put_int(data, "until", until);
	if (state_db(st, &db, err)) {
		json_free(data);
		return -1;
	}
	if (event_change(db, "vm.held", name, data, sql,
		    (const struct db_value[]){ DB_S(name), DB_I(until),
			    DB_LAST },
		    err))
		return not_running(name, err);
	return tell(st, name, err);
}

int
vm_unhold(struct state *st, const char *name, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET hold_until = NULL WHERE name = ?1 AND "
		"hold_until IS NOT NULL AND " LIVE;
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	if (event_change(db, "vm.released", name, NULL, sql,
		    (const struct db_value[]){ DB_S(name), DB_LAST }, err) &&
		err->code != ERR_BUSY)
		return -1;
	*err = ERR_INIT;
	return tell(st, name, err);
}

int
vm_held(struct db *db, const char *name, int64_t *ret_until, struct err *err)
{
	return db_get_int(db, ret_until,
		"SELECT coalesce(hold_until, 0) FROM vm WHERE name = ?1", err,
		DB_S(name));
}
