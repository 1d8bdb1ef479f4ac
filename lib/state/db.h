/*
 * db: the only door to SQLite.
 *
 *	struct db_rows *rows;
 *	db_query(db, &rows, SQL, err, DB_S(name), DB_I(limit));
 *	while ((rc = db_next(rows, err)) == 1)
 *		... db_text(rows, 0), db_int(rows, 1) ...
 *	db_done(rows);
 *
 * SQL is always a string constant of the program, never built; values are
 * bound.  Statements are prepared once per connection, keyed by the address
 * of the constant.  At most one query per constant may be open at a time.
 *
 * Writes happen between db_begin() (BEGIN IMMEDIATE) and db_commit():
 *	CLEANUP_TXN struct txn t = TXN_INIT;
 *	if (db_begin(db, &t, err)) return -1;
 *	...
 *	return db_commit(&t, err);
 * Leaving the scope without commit rolls back.  Inside a transaction there is
 * no network, no child, no sleep, no callback.  Nested begin is a BUG.
 */
#ifndef FORGE_STATE_DB_H
#define FORGE_STATE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct db;
struct db_rows;

enum db_type { DB_END, DB_TYPE_NULL, DB_TYPE_INT, DB_TYPE_TEXT, DB_TYPE_BLOB };

struct db_value {
	enum db_type type;
	int64_t i;
	const void *p; /* borrowed until the statement has run */
	size_t n;
};

#define DB_I(v) ((struct db_value){ .type = DB_TYPE_INT, .i = (v) })
/* NULL binds NULL. */
#define DB_S(v) ((struct db_value){ .type = DB_TYPE_TEXT, .p = (v) })
#define DB_B(v, len) \
	((struct db_value){ .type = DB_TYPE_BLOB, .p = (v), .n = (len) })
#define DB_NULL ((struct db_value){ .type = DB_TYPE_NULL })
#define DB_LAST ((struct db_value){ .type = DB_END })
/* "err, value..." of the macros below: the values become an array. */
#define DB_ARGS(err, ...) err, (const struct db_value[]){ __VA_ARGS__ }

enum { DB_TIMEOUT = 5000 }; /* ms, when nothing else is set */
/*
 * Open the file path (state_db() does it): WAL, synchronous=FULL, foreign
 * keys, busy timeout 5 s; migrates to this program's schema.  ERR_SCHEMA when
 * it is newer, not a database, or damaged; ERR_SYS on a network file system.
 * A missing file is created, mode 0600.  Not for use across fork().
 */
int db_open(const char *path, struct db **ret, struct err *err)
	__attribute__((warn_unused_result));
/* A short log stays beside the file; whoever opens it next reads it. */
void db_close(struct db *db);
/* How long a write waits for other writers, ms; 5000 at start. */
void db_set_timeout(struct db *db, int ms);
/*
 * Every transaction that may write holds the file path below dirfd (borrowed)
 * open for writing, from before its start until after its end: see event.h.
 */
void db_set_notify(struct db *db, int dirfd, const char *path);

struct txn {
	struct db *db; /* NULL: not open */
};
#define TXN_INIT ((struct txn){ .db = NULL })
#define CLEANUP_TXN __attribute__((cleanup(db_rollback)))

/* ERR_BUSY when others hold the database beyond the timeout. */
int db_begin(struct db *db, struct txn *t, struct err *err)
	__attribute__((warn_unused_result));
int db_commit(struct txn *t, struct err *err)
	__attribute__((warn_unused_result));
void db_rollback(struct txn *t);
/*
 * What is committed while this is on outlives us, but not a loss of power
 * before the next commit without it; the order is kept.  For what means
 * nothing after a restart of the host, and is told to nobody.
 */
int db_lazy(struct db *db, bool lazy, struct err *err)
	__attribute__((warn_unused_result));

/* Run a statement to its end.  ret_changes (or NULL): rows changed. */
#define db_run(db, sql, ret_changes, ...) \
	db_run_values(db, sql, ret_changes, DB_ARGS(__VA_ARGS__, DB_LAST))
int db_run_values(struct db *db, const char *sql, int *ret_changes,
	struct err *err, const struct db_value *values)
	__attribute__((warn_unused_result));

#define db_query(db, ret, sql, ...) \
	db_query_values(db, ret, sql, DB_ARGS(__VA_ARGS__, DB_LAST))
int db_query_values(struct db *db, struct db_rows **ret, const char *sql,
	struct err *err, const struct db_value *values)
	__attribute__((warn_unused_result));
/* 1 a row, 0 no more, -1 error. */
int db_next(struct db_rows *rows, struct err *err)
	__attribute__((warn_unused_result));
void db_done(struct db_rows *rows);
void cleanup_rows(struct db_rows **rows);
#define CLEANUP_ROWS __attribute__((cleanup(cleanup_rows)))

/* Columns of the current row; text and blob live until the next db_next. */
bool db_null(const struct db_rows *rows, int col);
int64_t db_int(const struct db_rows *rows, int col);
const char *db_text(const struct db_rows *rows, int col); /* NULL for NULL */
const void *db_blob(const struct db_rows *rows, int col, size_t *ret_n);

/* The first column of the first row; ERR_NOTFOUND without a row. */
#define db_get_int(db, ret, sql, ...) \
	db_get_int_values(db, ret, sql, DB_ARGS(__VA_ARGS__, DB_LAST))
int db_get_int_values(struct db *db, int64_t *ret, const char *sql,
	struct err *err, const struct db_value *values)
	__attribute__((warn_unused_result));
/* Caller frees *ret. */
#define db_get_text(db, ret, sql, ...) \
	db_get_text_values(db, ret, sql, DB_ARGS(__VA_ARGS__, DB_LAST))
int db_get_text_values(struct db *db, char **ret, const char *sql,
	struct err *err, const struct db_value *values)
	__attribute__((warn_unused_result));

#endif
