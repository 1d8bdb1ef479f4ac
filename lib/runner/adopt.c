#include "lib/runner/adopt.h"

#include "lib/base/argv.h"
#include "lib/base/detach.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

int
runner_adoptable(struct db *db, const char *name, bool *ret, struct err *err)
{
	static const char sql[] =
		"SELECT count(*) FROM runner r JOIN instance i "
		"ON i.name = r.name WHERE r.name = ?1 AND i.handed = 1 AND "
		"r.state IN ('idle', 'busy') AND r.github_id > 0 AND "
		"r.pool IS NOT NULL";
	int64_t n;

	if (db_get_int(db, &n, sql, err, DB_S(name)))
		return -1;
	*ret = n > 0;
	return 0;
}

int
runner_adopt(struct state *st, const char *name, struct err *err)
{
	CLEANUP_ARGV struct argv args = ARGV_INIT;
	CLEANUP_BUF struct buf line = BUF_INIT;
	int status;

	argv_push(&args, "run");
	argv_pushf(&args, "--state=%s", state_path(st));
	argv_pushf(&args, "--adopt=%s", name);
	return detach_self(&args, &line, &status, err) || status ? -1 : 0;
}
