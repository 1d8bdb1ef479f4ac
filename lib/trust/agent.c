#include "lib/trust/agent.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/trust/ca.h"
#include "lib/trust/cert_internal.h"
#include "lib/trust/agent_internal.h"
#include "lib/base/banned.h"

#define ONLINE_MS 120000 /* without a word it is not */

/* ---- what its stream tells ---- */

/* A change of one row of an agent; ERR_NOTFOUND. */
static int
change(struct db *db, const char *id, const char *sql,
	const struct db_value *values, struct err *err)
{
	int changed;

	if (db_run_values(db, sql, &changed, err, values))
		return -1;
	return changed ? 0 :
		err_set(err, ERR_NOTFOUND, "no agent '%.64s'", id);
}

int
agent_connected(struct db *db, const char *id, const char *address,
	struct err *err)
{
	int64_t now = clock_wall();
	struct json *data;

	if (change(db, id,
			"UPDATE agent SET connected_at = ?1, seen_at = ?1,"
			" address = ?2 WHERE id = ?3",
			(const struct db_value[]){ DB_I(now), DB_S(address),
				DB_S(id), DB_LAST }, err))
		return -1;
	data = json_object();
	json_put_str(data, "address", address);
	return event_add(db, "agent.connected", id, data, err);
}

static int
report_changes(struct db *db, const char *id, const struct agent_report *r,
	const char *labels, bool *ret, struct err *err)
{
	int64_t same;

	if (db_get_int(db, &same,
		"SELECT label_sets = coalesce(?, label_sets) AND max_vms = ?"
		" FROM agent WHERE id = ?", err, DB_S(labels),
		DB_I(r->max_vms), DB_S(id))) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		return err_set(err, ERR_NOTFOUND, "no agent '%.64s'", id);
	}
	*ret = !same;
	return 0;
}

static struct json *
changed_data(const char *labels, int64_t max_vms)
{
	struct json *data = json_object(), *sets = NULL;
	struct err none = ERR_INIT;

	if (labels && !json_parse(labels, strlen(labels), &sets, &none))
		json_put(data, "label_sets", sets);
	json_put_int(data, "max_vms", max_vms);
	return data;
}

int
agent_report(struct db *db, const char *id, const struct agent_report *r,
	struct err *err)
{
	CLEANUP_FREE char *labels = NULL;
	bool changes = false;

	if ((r->label_sets && agent_label_sets(r->label_sets, &labels, err)) ||
		report_changes(db, id, r, labels, &changes, err) ||
		db_run(db,
			"UPDATE agent SET host = coalesce(?1, host),"
			" version = coalesce(?2, version),"
			" label_sets = coalesce(?3, label_sets), max_vms = ?4,"
			" active = ?5, slots = ?6, seen_at = ?7 WHERE id = ?8",
			NULL, err, DB_S(r->host), DB_S(r->version),
			DB_S(labels), DB_I(r->max_vms), DB_I(r->active),
			DB_I(r->slots), DB_I(clock_wall()), DB_S(id)) ||
		(changes && event_add(db, "agent.changed", id,
			changed_data(labels, r->max_vms), err)))
		return -1;
	return 0;
}

int
agent_seen(struct db *db, const char *id, struct err *err)
{
	return change(db, id, "UPDATE agent SET seen_at = ? WHERE id = ?",
		(const struct db_value[]){ DB_I(clock_wall()), DB_S(id),
			DB_LAST }, err);
}

int
agent_gone(struct db *db, const char *id, const char *reason,
	struct err *err)
{
	if (db_run(db,
			"INSERT INTO event (at, kind, subject, data)"
			" SELECT ?1, ?4, id,"
			" json_object('reason', ?2) FROM agent WHERE"
			" connected_at IS NOT NULL AND id = coalesce(?3, id)",
			NULL, err, DB_I(clock_wall()), DB_S(reason),
			DB_S(id), DB_S("agent.gone")) ||
		db_run(db,
			"UPDATE agent SET connected_at = NULL, active = 0,"
			" slots = 0 WHERE connected_at IS NOT NULL AND"
			" id = coalesce(?, id)", NULL, err, DB_S(id)))
		return -1;
	return 0;
}

/* ---- the end of one ---- */

static int
revoke_certs(struct db *db, const char *id, struct err *err)
{
	int64_t now = clock_wall();

	if (db_run(db,
		"INSERT INTO event (at, kind, subject, data)"
		" SELECT ?1, ?3, serial,"
		" json_object('reason', 'agent revoked') FROM cert"
		" WHERE agent = ?2 AND revoked_at IS NULL", NULL, err,
		DB_I(now), DB_S(id), DB_S("cert.revoked")) ||
		db_run(db,
			"UPDATE cert SET revoked_at = ?, reason ="
			" 'agent revoked' WHERE agent = ? AND revoked_at"
			" IS NULL", NULL, err, DB_I(now), DB_S(id)))
		return -1;
	return db_run(db, "UPDATE ca SET crl_due = crl_due + 1", NULL, err);
}

int
agent_revoke(struct state *st, const char *id, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	int64_t known;
	int changed;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err) ||
		db_get_int(db, &known,
			"SELECT count(*) FROM agent WHERE id = ?", err,
			DB_S(id)) ||
		db_run(db,
			"UPDATE agent SET revoked_at = ? WHERE id = ? AND"
			" revoked_at IS NULL", &changed, err,
			DB_I(clock_wall()), DB_S(id)))
		return -1;
	if (!changed)
		return err_set(err, known ? ERR_BUSY : ERR_NOTFOUND,
			known ? "agent '%.64s' is revoked already" :
				"no agent '%.64s'", id);
	if (event_add(db, "agent.revoked", id, NULL, err) ||
		revoke_certs(db, id, err) || db_commit(&t, err))
		return -1;
	return ca_write_crl(st, err);
}

int
agent_each(struct db *db, int all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	return rows_each(db,
		"SELECT json_object('id', id, 'host', host, 'kind', kind,"
		" 'state', CASE WHEN revoked_at IS NOT NULL THEN 'revoked'"
		"  WHEN connected_at IS NOT NULL AND seen_at > ?1 - ?3"
		"  THEN 'online' ELSE 'offline' END,"
		" 'version', version, 'label_sets', json(label_sets),"
		" 'labels', (SELECT group_concat(s, ' ') FROM (SELECT"
		"  (SELECT group_concat(l.value, ',') FROM"
		"   json_each(s.value) l) AS s FROM json_each(label_sets) s)),"
		" 'max_vms', max_vms, 'active', active, 'slots', slots,"
		" 'address', address, 'connected_at', connected_at,"
		" 'seen_at', seen_at, 'created_at', created_at,"
		" 'cert_expires_at', (SELECT max(not_after) FROM cert WHERE"
		"  agent = agent.id AND cert.revoked_at IS NULL),"
		" 'revoked_at', revoked_at) FROM agent"
		" WHERE ?2 OR revoked_at IS NULL ORDER BY created_at, id",
		(const struct db_value[]){ DB_I(clock_wall()), DB_I(all),
			DB_I(ONLINE_MS), DB_LAST },
		emit, arg, err);
}
