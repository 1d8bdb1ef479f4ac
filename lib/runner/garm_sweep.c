#include "lib/runner/garm_sweep.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/garm_call.h"
#include "lib/runner/instance.h"
#include "lib/runner/pool.h"
#include "lib/runner/twice.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

struct sweep {
	struct state *st;
	struct db *db;
	int dry;
	tell_fn *told;
	struct garm g;
	char *pool; /* its id */
};

/* ---- by name ---- */

struct wanted {
	struct db *db;
	struct instance *row;
	struct err *err;
};

static int
is_it(const struct garm_instance *i, void *arg)
{
	struct wanted *w = arg;

	if (strcmp(i->name, w->row->name) != 0)
		return 0;
	w->row->provider_id = xstrdup(i->id);
	return instance_created(w->db, w->row->name, i, w->err) ? -1 : 1;
}

int
garm_find(struct db *db, const struct garm *g, struct instance *row,
	struct err *err)
{
	struct wanted w = { .db = db, .row = row, .err = err };
	int rc = garm_list(g, row->pool, is_it, &w, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	return err_set(err, ERR_NOTFOUND,
		"garm '%s' has no instance of runner '%s'", g->name,
		row->name);
}

/* ---- rows that nobody needs ---- */

static int
delete_of(struct sweep *s, struct instance *row, struct err *err)
{
	CLEANUP_GARM struct garm g = GARM_INIT;

	if (garm_load(s->st, row->place, &g, err))
		return -1;
	if (!row->provider_id && garm_find(s->db, &g, row, err)) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT; /* a half-made one may be unlisted */
	}
	return garm_delete(&g, row->pool, row->provider_id ?
				row->provider_id : row->name, err) ||
			instance_removed(s->st, row->name, err) ?
		-1 :
		0;
}

static int
sweep_row(struct sweep *s, const char *name, struct err *err)
{
	CLEANUP_ROW struct instance row = INSTANCE_INIT;
	struct err one = ERR_INIT;

	if (instance_get(s->db, name, &row, err))
		return -1;
	if (s->dry)
		tell_line(s->told,
			"runner '%s': garm '%s' may still have its instance",
			name, row.place);
	else if (delete_of(s, &row, &one))
		tell_line(s->told,
			"runner '%s': its instance is not deleted: %s",
			name, one.msg);
	else
		tell_line(s->told,
			"runner '%s': its instance at garm '%s' is deleted",
			name, row.place);
	return 0;
}

int
garm_sweep(struct state *st, int dry, tell_fn *told, struct err *err)
{
	static const char sql[] =
		"SELECT i.name FROM instance i LEFT JOIN runner r "
		"ON r.name = i.name WHERE r.name IS NULL OR "
		"(r.state = 'done' AND r.registered = 0)";
	struct sweep s = { .st = st, .dry = dry, .told = told };
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	size_t i;
	int rc;

	if (state_db(st, &s.db, err) || db_query(s.db, &rows, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(&names, db_text(rows, 0));
	db_done(steal_ptr(&rows));
	for (i = 0; !rc && i < names.n; i++)
		rc = sweep_row(&s, names.v[i], err);
	return rc;
}

/* ---- instances without a row ---- */

static int
look_at(const struct garm_instance *i, void *arg)
{
	struct sweep *s = arg;
	CLEANUP_FREE char *key = xasprintf("orphan garm:%s %s", s->g.name,
		i->id);
	CLEANUP_ROW struct instance row = INSTANCE_INIT;
	struct err err = ERR_INIT;
	bool again;

	if (!instance_get(s->db, i->name, &row, &err))
		return 0;
	if (err.code != ERR_NOTFOUND)
		return 0; /* not known now */
	err = ERR_INIT;
	if (twice_seen(s->db, key, s->dry, &again, &err)) {
		tell_line(s->told, "garm '%s': %s", s->g.name, err.msg);
	} else if (!again || s->dry) {
		tell_line(s->told,
			"instance '%s': at garm '%s', and not known here",
			i->name, s->g.name);
	} else if (garm_delete(&s->g, s->pool, i->id, &err) ||
		twice_forget(s->db, key, &err)) {
		tell_line(s->told, "instance '%s': not deleted: %s",
			i->name, err.msg);
	} else {
		tell_line(s->told,
			"instance '%s': not known here, deleted at garm '%s'",
			i->name, s->g.name);
	}
	return 0;
}

static void
list_pool(struct sweep *s, const char *pool)
{
	struct err err = ERR_INIT;

	free(s->pool);
	s->pool = garm_pool_id(&s->g, pool);
	if (garm_list(&s->g, s->pool, look_at, s, &err))
		tell_line(s->told, "%s", err.msg);
}

static void
list_place(struct sweep *s, const struct pools *pools)
{
	CLEANUP_FREE char *place = xasprintf(PLACE_GARM "%s", s->g.name);
	size_t i;

	list_pool(s, NULL); /* of runners made from options */
	for (i = 0; i < pools->n; i++)
		if (!strcmp(pools->v[i].place, place))
			list_pool(s, pools->v[i].name);
}

int
garm_orphans(struct state *st, int dry, tell_fn *told, struct err *err)
{
	struct sweep s = { .st = st, .dry = dry, .told = told };
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	CLEANUP_POOLS struct pools pools = { 0 };
	struct config *c;
	size_t i;

	if (state_db(st, &s.db, err) || state_config(st, &c, err) ||
		pools_load(st, &pools, err))
		return -1;
	config_names(c, "garm", &names);
	for (i = 0; i < names.n; i++) {
		struct err why = ERR_INIT;

		if (garm_load(st, names.v[i], &s.g, &why))
			tell_line(s.told, "%s", why.msg);
		else
			list_place(&s, &pools);
		garm_release(&s.g);
	}
	free(s.pool);
	return 0;
}
