#include "lib/runner/fleet_rows.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/runner/place.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

/*
 * What the agents of the pool's place that have one of these label sets can
 * run in all, and what they have free.
 */
static int
capacity(struct db *db, const struct pool *p, const char *sets, int64_t *ret,
	int64_t *ret_free, struct err *err)
{
	static const char sql[] =
		"SELECT coalesce(sum(max_vms), 0), coalesce(sum(slots), 0) "
		"FROM agent WHERE "
		"revoked_at IS NULL AND connected_at IS NOT NULL AND "
		"(?1 = '*' OR id = ?1 OR host = ?1) AND EXISTS ("
		"SELECT 1 FROM json_each(?2) p, json_each(label_sets) s "
		"WHERE NOT EXISTS (SELECT 1 FROM json_each(p.value) l "
		"WHERE l.value NOT IN (SELECT value FROM json_each(s.value))))";
	CLEANUP_ROWS struct db_rows *rows = NULL;

	if (db_query(db, &rows, sql, err,
		    DB_S(p->place + strlen(PLACE_AGENT)), DB_S(sets)) ||
		db_next(rows, err) != 1)
		return -1;
	*ret = db_int(rows, 0);
	*ret_free = db_int(rows, 1);
	return 0;
}

/* Runners on agents that have these labels, and those of them that an agent
 * may not have counted yet. */
static int
used(struct db *db, const char *set, int64_t *ret, int64_t *ret_new,
	struct err *err)
{
	static const char sql[] =
		"SELECT count(*), coalesce(sum(state IN "
		"('starting', 'booted', 'registering')), 0) FROM runner "
		"WHERE state <> 'done' AND place LIKE '" PLACE_AGENT "%' AND "
		"NOT EXISTS (SELECT 1 FROM json_each(?1) l WHERE l.value NOT "
		"IN (SELECT value FROM json_each(runner.labels)))";
	CLEANUP_ROWS struct db_rows *rows = NULL;

	if (db_query(db, &rows, sql, err, DB_S(set)) ||
		db_next(rows, err) != 1)
		return -1;
	*ret = db_int(rows, 0);
	*ret_new = db_int(rows, 1);
	return 0;
}

/*
 * What agents say is late, for the newest runners; what they have in all less
 * our runners knows nothing of runners of others.  The lesser one is right.
 */
static int
set_room(struct db *db, struct pool *p, size_t k, struct err *err)
{
	CLEANUP_FREE char *set = labels_json(&p->sets[k]);
	CLEANUP_FREE char *sets = xasprintf("[%s]", set);
	int64_t most, vacant, ours, new;

	if (capacity(db, p, sets, &most, &vacant, err) ||
		used(db, set, &ours, &new, err))
		return -1;
	most -= ours;
	vacant -= new;
	if (vacant < most)
		most = vacant;
	p->room[k] = most < 0 ? 0 : most < p->max ? (int)most : p->max;
	return 0;
}

/* Of all its label sets together. */
static int
pool_capacity(struct db *db, const struct pool *p, int64_t *ret,
	struct err *err)
{
	CLEANUP_JSON struct json *sets = pool_label_sets(p);
	CLEANUP_FREE char *text = json_text(sets);
	int64_t vacant;

	return capacity(db, p, text, ret, &vacant, err);
}

int
fleet_agents(struct db *db, struct fleet *f, struct err *err)
{
	size_t i, k;

	for (i = 0; i < f->pools.n; i++) {
		struct pool *p = &f->pools.v[i];
		int64_t left;

		if (!place_is_agent(p->place))
			continue;
		if (pool_capacity(db, p, &left, err))
			return -1;
		for (k = 0; k < f->pools.n; k++) {
			const struct supply *s = &f->supply[k];

			if (k != i && !strcmp(f->pools.v[k].place, p->place))
				left -= s->starting + s->idle + s->busy +
					s->ending;
		}
		if (left < p->max)
			p->max = left > 0 ? (int)left : 0;
		p->room = xcalloc(p->nsets + 1, sizeof(*p->room));
		for (k = 0; k < p->nsets; k++)
			if (set_room(db, p, k, err))
				return -1;
	}
	return 0;
}
