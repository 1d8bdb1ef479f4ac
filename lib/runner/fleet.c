#include "lib/runner/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define START_TIMEOUT 60000 /* ms for `forge-runner start` to return */

void
fleet_release(struct fleet *f)
{
	size_t i;

	for (i = 0; i < f->ndemand; i++)
		argv_release(&f->labels[i]);
	free(f->demand);
	free(f->labels);
	argv_release(&f->strings);
	free(f->supply);
	free(f->decisions);
	pools_release(&f->pools);
	*f = FLEET_INIT;
}

/* ---- demand ---- */

static int
parse_labels(const char *text, struct argv *ret, struct err *err)
{
	CLEANUP_JSON struct json *a = NULL;
	size_t i, n;

	if (json_parse(text, strlen(text), &a, err))
		return -1;
	n = json_len(a, "");
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *label = json_at(a, i);

		argv_push(ret, json_str(label, "", ""));
	}
	return 0;
}

/* A copy that lives as long as the fleet; NULL for NULL. */
static const char *
keep(struct fleet *f, const char *s)
{
	if (!s)
		return NULL;
	argv_push(&f->strings, s);
	return f->strings.v[f->strings.n - 1];
}

static int
load_demand(struct db *db, struct fleet *f, struct err *err)
{
	static const char sql[] =
		"SELECT repo, enterprise, labels, count(*) FROM job "
		"WHERE state = 'queued' GROUP BY repo, enterprise, labels "
		"ORDER BY min(coalesce(queued_at, updated_at))";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	size_t alloc = 0;
	int rc;

	if (db_query(db, &rows, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		size_t i = f->ndemand;

		if (i == alloc) {
			alloc = alloc ? 2 * alloc : 16;
			f->demand = xreallocarray(f->demand, alloc,
				sizeof(*f->demand));
			f->labels = xreallocarray(f->labels, alloc,
				sizeof(*f->labels));
		}
		f->labels[i] = ARGV_INIT;
		f->demand[i] = (struct demand){
			.repo = keep(f, db_text(rows, 0)),
			.enterprise = keep(f, db_text(rows, 1)),
			.count = (int)db_int(rows, 3) };
		f->queued += f->demand[i].count;
		f->ndemand++;
		if (parse_labels(db_text(rows, 2), &f->labels[i], err))
			return -1;
	}
	/* Only now do the labels stay where they are. */
	for (size_t i = 0; i < f->ndemand; i++)
		f->demand[i].labels = &f->labels[i];
	return rc;
}

/* ---- supply ---- */

static struct supply *
supply_of(struct fleet *f, const char *pool)
{
	size_t i;

	for (i = 0; pool && i < f->pools.n; i++)
		if (!strcmp(f->pools.v[i].name, pool))
			return &f->supply[i];
	return NULL;
}

static void
count(struct supply *s, const char *state, int n)
{
	if (!strcmp(state, "idle"))
		s->idle += n;
	else if (!strcmp(state, "busy"))
		s->busy += n;
	else if (!strcmp(state, "ending"))
		s->ending += n;
	else
		s->starting += n;
}

/* Returns through ret_all how many runners of any kind are alive. */
static int
load_supply(struct db *db, struct fleet *f, int *ret_all, struct err *err)
{
	static const char sql[] =
		"SELECT pool, state, count(*) FROM runner "
		"WHERE state <> 'done' GROUP BY pool, state";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	*ret_all = 0;
	if (db_query(db, &rows, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		struct supply *s = supply_of(f, db_text(rows, 0));
		int n = (int)db_int(rows, 2);

		*ret_all += n;
		if (s)
			count(s, db_text(rows, 1), n);
	}
	return rc;
}

/* Runners that ended in error since the last one that did not. */
static int
load_failures(struct db *db, struct fleet *f, struct err *err)
{
	static const char sql[] =
		"SELECT count(*), coalesce(max(done_at), 0) FROM runner "
		"WHERE state = 'done' AND pool = ?1 AND result = 'error' AND "
		"done_at > coalesce((SELECT max(done_at) FROM runner WHERE "
		"state = 'done' AND pool = ?1 AND result <> 'error'), 0)";
	size_t i;

	for (i = 0; i < f->pools.n; i++) {
		CLEANUP_ROWS struct db_rows *rows = NULL;

		if (db_query(db, &rows, sql, err, DB_S(f->pools.v[i].name)) ||
			db_next(rows, err) < 0)
			return -1;
		f->supply[i].failures = (int)db_int(rows, 0);
		f->supply[i].failed_at = db_int(rows, 1);
	}
	return 0;
}

/* ---- the whole ---- */

static int
host_room(struct state *st, int alive, int *ret, struct err *err)
{
	struct config *c;
	int64_t max;

	if (state_config(st, &c, err) ||
		config_int(c, "forge", NULL, "max-vms", -1, &max, err))
		return -1;
	*ret = max < 0 ? -1 : max > alive ? (int)(max - alive) : 0;
	return 0;
}

static int
load(struct state *st, struct fleet *f, struct err *err)
{
	struct decide in = { .now = clock_wall() };
	struct db *db;
	int alive;
	size_t i;

	if (state_db(st, &db, err) || pools_load(st, &f->pools, err))
		return -1;
	f->supply = xcalloc(f->pools.n, sizeof(*f->supply));
	f->decisions = xcalloc(f->pools.n, sizeof(*f->decisions));
	if (load_demand(db, f, err) || load_supply(db, f, &alive, err) ||
		load_failures(db, f, err) ||
		host_room(st, alive, &in.host_room, err))
		return -1;
	in.pools = f->pools.v;
	in.npools = f->pools.n;
	in.supply = f->supply;
	in.demand = f->demand;
	in.ndemand = f->ndemand;
	f->unserved = decide(&in, f->decisions);
	for (i = 0; i < f->pools.n; i++) {
		int64_t at = f->decisions[i].retry_at;

		if (at && (!f->retry_at || at < f->retry_at))
			f->retry_at = at;
	}
	return 0;
}

int
fleet_load(struct state *st, struct fleet *ret, struct err *err)
{
	*ret = FLEET_INIT;
	if (!load(st, ret, err))
		return 0;
	fleet_release(ret);
	return -1;
}

static int
start_one(struct state *st, const struct pool *pool, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf name = BUF_INIT;
	CLEANUP_FREE char *program = NULL;

	if (find_program("forge-runner", &program, err))
		return -1;
	argv_push(&p.argv, program);
	argv_push(&p.argv, "start");
	argv_pushf(&p.argv, "--state=%s", state_path(st));
	argv_pushf(&p.argv, "--pool=%s", pool->name);
	if (proc_run(&p, NULL, &name, 4096, START_TIMEOUT, err))
		return -1;
	buf_rtrim(&name);
	log_info("runner.started", "pool", pool->name, "name", name.s, NULL);
	return 0;
}

int
fleet_act(struct state *st, const struct fleet *f, struct err *err)
{
	int started = 0;
	size_t i;
	int k;

	for (i = 0; i < f->pools.n; i++)
		for (k = 0; k < f->decisions[i].start; k++) {
			if (start_one(st, &f->pools.v[i], err)) {
				log_error("runner.start", "pool",
					f->pools.v[i].name, "error", err->msg,
					NULL);
				*err = ERR_INIT;
				break; /* the next pass tries again */
			}
			started++;
		}
	return started;
}

static struct json *
labels_of(const struct pool *p)
{
	struct json *sets = json_array();
	size_t i, k;

	for (i = 0; i < p->nsets; i++) {
		struct json *set = json_array();

		for (k = 0; k < p->sets[i].n; k++)
			json_push_str(set, p->sets[i].v[k]);
		json_push(sets, set);
	}
	return sets;
}

int
fleet_each(const struct fleet *f,
	int (*emit)(struct json *row, void *arg), void *arg)
{
	size_t i;

	for (i = 0; i < f->pools.n; i++) {
		const struct pool *p = &f->pools.v[i];
		const struct supply *s = &f->supply[i];
		const struct decision *d = &f->decisions[i];
		struct json *o = json_object();
		int rc;

		json_put_str(o, "name", p->name);
		json_put_str(o, "scope", p->scope);
		json_put_str(o, "place", p->place);
		json_put(o, "labels", labels_of(p));
		json_put_int(o, "queued", d->queued);
		json_put_int(o, "starting", s->starting);
		json_put_int(o, "idle", s->idle);
		json_put_int(o, "busy", s->busy);
		json_put_int(o, "ending", s->ending);
		json_put_int(o, "min_idle", p->min_idle);
		json_put_int(o, "max", p->max);
		json_put_int(o, "start", d->start);
		json_put_str(o, "verdict", verdict_name(d->verdict));
		rc = emit(o, arg);
		if (rc)
			return rc;
	}
	return 0;
}
