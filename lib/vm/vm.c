#include "lib/vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/vm/lease.h"
#include "lib/vm/mac.h"
#include "lib/base/banned.h"

#define LIVE "state IN ('starting', 'running', 'paused', 'stopping')"

/* ---- admission ---- */

struct limits {
	int64_t vms, memory, cpus; /* -1: none */
};

static int
load_limits(struct state *st, struct limits *l, struct err *err)
{
	struct config *c;

	return state_config(st, &c, err) ||
			config_int(c, "forge", NULL, "max-vms", -1, &l->vms,
				err) ||
			config_size(c, "forge", NULL, "max-memory", -1,
				&l->memory, err) ||
			config_int(c, "forge", NULL, "max-cpus", -1, &l->cpus,
				err) ?
		-1 :
		0;
}

static int
admit(struct db *db, const struct limits *l, const struct vm_spec *spec,
	struct err *err)
{
	static const char sql[] =
		"SELECT count(*), "
		"coalesce(sum(memory_mb) FILTER (WHERE net <> 'driver'), 0), "
		"coalesce(sum(cpus) FILTER (WHERE net <> 'driver'), 0) "
		"FROM vm WHERE " LIVE;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	char have[16], max[16];
	int64_t memory;

	if (l->vms < 0 && l->memory < 0 && l->cpus < 0)
		return 0;
	if (db_query(db, &rows, sql, err, DB_LAST) || db_next(rows, err) < 0)
		return -1;
	if (l->vms >= 0 && db_int(rows, 0) >= l->vms)
		return err_set(err, ERR_LIMIT,
			"%lld VMs run and forge.max-vms is %lld",
			(long long)db_int(rows, 0), (long long)l->vms);
	if (!strcmp(spec->net, "driver"))
		return 0; /* memory and CPUs of another machine */
	memory = db_int(rows, 1) << 20;
	if (l->memory >= 0 && memory + spec->memory > l->memory)
		return err_set(err, ERR_LIMIT,
			"VMs use %s of memory and forge.max-memory is %s",
			format_size(memory, have, sizeof(have)),
			format_size(l->memory, max, sizeof(max)));
	if (l->cpus >= 0 && db_int(rows, 2) + spec->cpus > l->cpus)
		return err_set(err, ERR_LIMIT,
			"VMs use %lld CPUs and forge.max-cpus is %lld",
			(long long)db_int(rows, 2), (long long)l->cpus);
	return 0;
}

/* ---- the beginning ---- */

static int
insert(struct db *db, const struct vm_spec *spec, const char *self,
	struct err *err)
{
	static const char sql[] =
		"INSERT INTO vm (name, state, image, driver, net, cpus, "
		"memory_mb, supervisor, keep, created_at, ttl_ms, idle_ms, "
		"restart, argv, egress) VALUES (?1, 'starting', ?2, ?3, ?4, ?5, ?6, "
		"?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

	if (!db_run(db, sql, NULL, err, DB_S(spec->name), DB_S(spec->image),
		    DB_S(spec->driver), DB_S(spec->net), DB_I(spec->cpus),
		    DB_I(spec->memory >> 20), DB_S(self), DB_I(spec->keep),
		    DB_I(clock_wall()), DB_I(spec->ttl), DB_I(spec->idle),
		    DB_I(spec->restart), DB_S(spec->argv),
		    DB_S(spec->egress)))
		return 0;
	if (err->code != ERR_EXISTS)
		return -1;
	return err_set(err, ERR_EXISTS,
		"a VM named '%s' exists; 'forge-vm destroy %s' removes it",
		spec->name, spec->name);
}

/* One that ended begins again; restarts counts those in a row. */
static int
take_over(struct db *db, const struct vm_spec *spec, const char *self,
	struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET state = 'starting', supervisor = ?2, "
		"hypervisor = NULL, mac = NULL, status = NULL, reason = NULL, "
		"hold_until = NULL, warm = NULL, restarts = iif(ended_at - ready_at > "
		"60000, 0, restarts) + 1, created_at = ?3, ready_at = NULL, "
		"ended_at = NULL WHERE name = ?1 AND state IN ('stopped', "
		"'crashed')";
	int changes;

	if (db_run(db, sql, &changes, err, DB_S(spec->name), DB_S(self),
		    DB_I(clock_wall())))
		return -1;
	return changes ? 0 :
			 err_set(err, ERR_EXISTS,
				 "VM '%s' has not ended, or is not there",
				 spec->name);
}

/* For `forge-vm image gc`. */
static int
use_image(struct db *db, const char *image, struct err *err)
{
	return db_run(db, "UPDATE image SET used_at = ?2 WHERE name = ?1",
		NULL, err, DB_S(image), DB_I(clock_wall()));
}

bool
vm_has_lease(const struct vm_spec *spec)
{
	return strcmp(spec->net, "none") != 0 &&
		strcmp(spec->net, "driver") != 0;
}

static int
give_address(struct db *db, const struct subnet *s,
	const struct vm_spec *spec, struct vm_address *ret, struct err *err)
{
	*ret = (struct vm_address){ 0 };
	if (!vm_has_lease(spec))
		return 0;
	if (lease_add(db, s, spec->name, spec->name, &ret->address, err))
		return -1;
	mac_of(spec->name, ret->address, ret->mac);
	return db_run(db, "UPDATE vm SET mac = ?2 WHERE name = ?1", NULL, err,
		DB_S(spec->name), DB_S(ret->mac));
}

int
vm_create(struct state *st, const struct vm_spec *spec,
	struct vm_address *ret, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *self = NULL;
	struct json *data = NULL;
	struct limits limits;
	struct subnet s;
	struct db *db;

	if (state_db(st, &db, err) || load_limits(st, &limits, err) ||
		subnet_load(st, &s, err) ||
		proc_identity(getpid(), &self, err) || db_begin(db, &t, err) ||
		admit(db, &limits, spec, err) ||
		(spec->again ? take_over(db, spec, self, err) :
			       insert(db, spec, self, err)) ||
		use_image(db, spec->image, err) ||
		give_address(db, &s, spec, ret, err))
		return -1;
	data = json_object();
	json_put_str(data, "image", spec->image);
	json_put_str(data, "driver", spec->driver);
	json_put_int(data, "cpus", spec->cpus);
	json_put_int(data, "memory_mb", spec->memory >> 20);
	if (spec->again)
		json_put_bool(data, "again", true);
	if (event_add(db, "vm.starting", spec->name, data, err))
		return -1;
	return db_commit(&t, err);
}

/* ---- changes ---- */

int
vm_booting(struct db *db, const char *name, const char *hypervisor,
	struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET hypervisor = ?2 WHERE name = ?1";
	struct err later = ERR_INIT;
	int rc;

	/* No process outlives the host. */
	if (db_lazy(db, true, err))
		return -1;
	rc = db_run(db, sql, NULL, err, DB_S(name), DB_S(hypervisor));
	if (!db_lazy(db, false, &later))
		return rc;
	return rc ? -1 : err_set(err, later.code, "%s", later.msg);
}

int
vm_set_address(struct db *db, const char *name, const char *address,
	struct err *err)
{
	return db_run(db, "UPDATE vm SET address = nullif(?2, '') "
		"WHERE name = ?1", NULL, err, DB_S(name), DB_S(address));
}

int
vm_ready(struct db *db, const char *name, struct json *took, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET state = 'running', ready_at = ?2 "
		"WHERE name = ?1 AND state = 'starting'";

	return event_change(db, "vm.ready", name, took, sql,
		(const struct db_value[]){ DB_S(name), DB_I(clock_wall()),
			DB_LAST },
		err);
}

int
vm_stopping(struct db *db, const char *name, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET state = 'stopping' WHERE name = ?1 AND "
		"state IN ('starting', 'running', 'paused')";

	return event_change(db, "vm.stopping", name, NULL, sql,
		(const struct db_value[]){ DB_S(name), DB_LAST }, err);
}

int
vm_paused(struct db *db, const char *name, bool paused, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET state = ?2 WHERE name = ?1 AND state = ?3";

	return event_change(db, paused ? "vm.paused" : "vm.resumed", name,
		NULL, sql,
		(const struct db_value[]){ DB_S(name),
			DB_S(paused ? "paused" : "running"),
			DB_S(paused ? "running" : "paused"), DB_LAST },
		err);
}

int
vm_expired(struct db *db, const char *name, const char *why,
	const char *reason, struct err *err)
{
	static const char sql[] =
		"UPDATE vm SET reason = ?2 WHERE name = ?1 AND "
		"state IN ('running', 'paused')";
	struct json *data = json_object();

	json_put_str(data, "why", why);
	return event_change(db, "vm.expired", name, data, sql,
		(const struct db_value[]){ DB_S(name), DB_S(reason), DB_LAST },
		err);
}

int
vm_ended(struct db *db, const char *name, bool crashed, int status,
	const char *reason, struct err *err)
{
	static const char sql_end[] =
		"UPDATE vm SET state = ?2, status = ?3, reason = ?4, "
		"ended_at = ?5 WHERE name = ?1 AND " LIVE;
	static const char sql_gone[] =
		"DELETE FROM vm WHERE name = ?1 AND keep = 0";
	const char *state = crashed ? "crashed" : "stopped";
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data;
	int changes;

	if (db_begin(db, &t, err) ||
		db_run(db, sql_end, &changes, err, DB_S(name), DB_S(state),
			DB_I(status), DB_S(reason), DB_I(clock_wall())))
		return -1;
	if (!changes)
		return 0; /* somebody else buried it */
	data = json_object();
	json_put_int(data, "status", status);
	if (reason)
		json_put_str(data, "reason", reason);
	if (event_add(db, crashed ? "vm.crashed" : "vm.stopped", name, data,
		    err) ||
		lease_drop(db, name, err) ||
		db_run(db, sql_gone, &changes, err, DB_S(name)))
		return -1;
	if (changes && event_add(db, "vm.destroyed", name, NULL, err))
		return -1;
	return db_commit(&t, err);
}

/* ---- looking ---- */

#define COLUMNS                                                           \
	"json_object('name', v.name, 'state', v.state, 'image', v.image, " \
	"'driver', v.driver, 'net', v.net, 'egress', v.egress, 'address', " \
	"a.address, 'mac', v.mac, 'cpus', v.cpus, 'memory_mb', v.memory_mb, " \
	"'supervisor', v.supervisor, 'hypervisor', v.hypervisor, "        \
	"'status', v.status, 'reason', v.reason, 'ttl_ms', "              \
	"nullif(v.ttl_ms, 0), 'idle_ms', nullif(v.idle_ms, 0), "          \
	"'hold_until', v.hold_until, 'restart', json(iif(v.restart, "     \
	"'true', 'false')), 'restarts', v.restarts, 'created_at', "       \
	"v.created_at, 'ready_at', v.ready_at, 'ended_at', v.ended_at, "  \
	"'warm', v.warm) "                                                 \
	"FROM vm v JOIN vm_address a ON a.vm = v.name "

int
vm_each(struct db *db, int (*emit)(struct json *row, void *arg), void *arg,
	struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS "ORDER BY v.name";
	return rows_each(db, sql, (const struct db_value[]){ DB_LAST }, emit,
		arg, err);
}

int
vm_show(struct db *db, const char *name, struct json **ret, struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS "WHERE v.name = ?1";
	CLEANUP_FREE char *text = NULL;

	if (!db_get_text(db, &text, sql, err, DB_S(name)))
		return json_parse(text, strlen(text), ret, err);
	return err->code == ERR_NOTFOUND ? vm_unknown(name, err) : -1;
}

int
vm_unknown(const char *name, struct err *err)
{
	return err_set(err, ERR_NOTFOUND,
		"no VM '%s'; 'forge-vm list' shows those there are", name);
}

int
vm_state(struct db *db, const char *name, char **ret, struct err *err)
{
	if (!db_get_text(db, ret, "SELECT state FROM vm WHERE name = ?1", err,
		    DB_S(name)))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	*ret = xstrdup("");
	return 0;
}

bool
vm_over(const char *state)
{
	return !*state || !strcmp(state, "stopped") ||
		!strcmp(state, "crashed");
}

int
vm_remove_files(struct state *st, const char *name, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("vm/%s", name);

	return fs_remove_tree(state_dir(st), dir, err);
}
