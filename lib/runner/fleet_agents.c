#include "lib/runner/fleet_rows.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/runner/place.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

/* What the agents of the pool's place can run in all. */
static int
capacity(struct db *db, const struct pool *p, int64_t *ret, struct err *err)
{
	static const char sql[] =
		"SELECT coalesce(sum(max_vms), 0) FROM agent WHERE "
		"revoked_at IS NULL AND connected_at IS NOT NULL AND "
		"(?1 = '*' OR id = ?1 OR host = ?1) AND EXISTS ("
		"SELECT 1 FROM json_each(?2) p, json_each(label_sets) s "
		"WHERE NOT EXISTS (SELECT 1 FROM json_each(p.value) l "
		"WHERE l.value NOT IN (SELECT value FROM json_each(s.value))))";
	CLEANUP_JSON struct json *sets = pool_label_sets(p);
	CLEANUP_FREE char *text = json_text(sets);

	return db_get_int(db, ret, sql, err,
		DB_S(p->place + strlen(PLACE_AGENT)), DB_S(text));
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
		if (capacity(db, p, &left, err))
			return -1;
		for (k = 0; k < f->pools.n; k++) {
			const struct supply *s = &f->supply[k];

			if (k != i && !strcmp(f->pools.v[k].place, p->place))
				left -= s->starting + s->idle + s->busy +
					s->ending;
		}
		if (left < p->max)
			p->max = left > 0 ? (int)left : 0;
	}
	return 0;
}
