#include "lib/vm/restart.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

int
vm_restart_due(struct state *st, struct argv *ret, struct err *err)
{
	/* As take_over() in vm.c: a minute of life forgives what was. */
	static const char sql[] =
		"SELECT name FROM vm WHERE state = 'crashed' AND restart = 1 "
		"AND argv IS NOT NULL AND (restarts = 0 OR ended_at - "
		"coalesce(ready_at, ended_at) > 60000 OR ended_at + "
		"min(300000, 1000 << min(restarts - 1, 20)) <= ?1) "
		"ORDER BY ended_at";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) ||
		db_query(db, &rows, sql, err, DB_I(clock_wall())))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

static int
parse(const char *text, struct argv *ret, struct err *err)
{
	CLEANUP_JSON struct json *list = NULL;
	size_t i, n;

	if (json_parse(text, strlen(text), &list, err))
		return -1;
	n = json_len(list, "");
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *word = json_at(list, i);

		argv_push(ret, json_str(word, "", ""));
	}
	return 0;
}

int
vm_restart_args(struct state *st, const char *name, struct argv *ret,
	struct err *err)
{
	static const char sql[] =
		"SELECT coalesce(argv, ''), state IN ('stopped', 'crashed') "
		"FROM vm WHERE name = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows, sql, err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc ? -1 : vm_unknown(name, err);
	if (!db_int(rows, 1))
		return err_set(err, ERR_EXISTS,
			"VM '%s' runs; 'forge-vm stop %s' ends it", name,
			name);
	if (!*db_text(rows, 0))
		return err_set(err, ERR_NOTFOUND,
			"how VM '%s' was started is not known", name);
	return parse(db_text(rows, 0), ret, err);
}
