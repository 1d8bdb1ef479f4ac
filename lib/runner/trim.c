/* The side of fleet.h that asks GitHub. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/fleet.h"
#include "lib/runner/runner.h"
#include "lib/runner/stop.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

struct trim {
	struct state *st;
	struct db *db;
	bool dry;
	tell_fn *told;
};

/* Those that are not up yet are the cheapest to lose. */
static int
names_of(struct db *db, const char *pool, const char *labels, int n,
	struct argv *ret, struct err *err)
{
	static const char sql[] =
		"SELECT name FROM runner WHERE pool = ?1 AND labels = ?2 AND "
		"on_demand = 1 AND state IN ('starting', 'booted', "
		"'registering', 'idle') ORDER BY registered, asked_at, "
		"created_at DESC LIMIT ?3";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(pool), DB_S(labels), DB_I(n)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

static void
trim_one(struct trim *t, const char *name)
{
	struct err one = ERR_INIT;

	if (t->dry)
		tell_line(t->told, "runner '%s': no job waits for it", name);
	else if (!runner_stop(t->st, name, false, 0, &one) ||
		one.code == ERR_TIMEOUT)
		tell_line(t->told, "runner '%s': removed, no job waited for it",
			name);
	else if (one.code == ERR_BUSY)
		tell_line(t->told, "runner '%s': kept, it has a job", name);
	else
		tell_line(t->told, "runner '%s': not removed: %s", name,
			one.msg);
}

int
fleet_trim(struct state *st, const struct fleet *f, bool dry,
	tell_fn *told, struct err *err)
{
	struct trim t = { .st = st, .dry = dry, .told = told };
	size_t i, k;

	if (state_db(st, &t.db, err))
		return -1;
	for (i = 0; i < f->ncrews; i++) {
		CLEANUP_FREE char *labels = labels_json(f->crews[i].labels);
		CLEANUP_ARGV struct argv names = ARGV_INIT;

		if (!f->plan.remove[i])
			continue;
		if (names_of(t.db, f->pools.v[f->crews[i].pool].name, labels,
			    f->plan.remove[i], &names, err))
			return -1;
		for (k = 0; k < names.n; k++)
			trim_one(&t, names.v[k]);
	}
	return 0;
}
