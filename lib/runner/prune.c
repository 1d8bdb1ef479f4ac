#include "lib/runner/prune.h"

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/runner.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static const int64_t day = 24 * 3600 * (int64_t)1000;

static int
old_ones(struct db *db, int64_t before, struct argv *ret, struct err *err)
{
	static const char sql[] =
		"SELECT name FROM runner WHERE state = 'done' AND "
		"registered = 0 AND done_at < ?1 ORDER BY done_at LIMIT 1000";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_I(before)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

int
runner_prune(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	struct db *db;
	int64_t keep;
	size_t i;

	if (state_db(st, &db, err) || state_config(st, &c, err) ||
		config_duration(c, "forge", NULL, "keep-runners", 30 * day,
			&keep, err) ||
		old_ones(db, clock_wall() - keep, &names, err))
		return -1;
	for (i = 0; i < names.n; i++) {
		struct err one = ERR_INIT;

		if (!dry && runner_forget(st, names.v[i], &one)) {
			if (one.code == ERR_NOTFOUND)
				continue; /* another sweep was quicker */
			tell_line(told, "runner '%s': not forgotten: %s",
				names.v[i], one.msg);
		} else {
			tell_line(told, "runner '%s': forgotten, it is old",
				names.v[i]);
		}
	}
	return 0;
}
