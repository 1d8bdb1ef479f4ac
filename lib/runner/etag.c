#include "lib/runner/etag.h"

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

int
etag_get(struct db *db, const char *key, char **ret_tag, char **ret_note,
	struct err *err)
{
	static const char sql[] = "SELECT tag, body FROM etag WHERE url = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	*ret_tag = *ret_note = NULL;
	if (db_query(db, &rows, sql, err, DB_S(key)))
		return -1;
	rc = db_next(rows, err);
	if (rc == 1) {
		*ret_tag = xstrdup(db_text(rows, 0));
		*ret_note = xstrdup(db_text(rows, 1));
	}
	return rc < 0 ? -1 : 0;
}

int
etag_put(struct db *db, const char *key, const char *tag, const char *note,
	struct err *err)
{
	static const char put[] =
		"INSERT INTO etag (url, tag, body, at) VALUES (?1, ?2, ?3, ?4) "
		"ON CONFLICT (url) DO UPDATE SET tag = excluded.tag, "
		"body = excluded.body, at = excluded.at";
	static const char forget[] = "DELETE FROM etag WHERE url = ?1";
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(db, &t, err) ||
		(tag ? db_run(db, put, NULL, err, DB_S(key), DB_S(tag),
			DB_S(note), DB_I(clock_wall())) :
			db_run(db, forget, NULL, err, DB_S(key))))
		return -1;
	return db_commit(&t, err);
}

int
etag_prune(struct db *db, int64_t before, struct err *err)
{
	static const char sql[] = "DELETE FROM etag WHERE at < ?1";
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(db, &t, err) ||
		db_run(db, sql, NULL, err, DB_I(before)))
		return -1;
	return db_commit(&t, err);
}
