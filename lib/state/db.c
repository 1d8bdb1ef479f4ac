#include "lib/state/db_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* The text of a full disk is the same wherever SQLite noticed it. */
static int
err_storage(struct err *err, const struct db *db, int rc)
{
	int sys = sqlite3_system_errno(db->handle);

	if (rc == SQLITE_FULL || sys == ENOSPC || sys == EDQUOT)
		return err_set(err, ERR_SYS,
			"database or disk is full: free some space for '%s'",
			db->path);
	return err_set(err, ERR_SYS, "cannot read or write '%s': %s (%s)",
		db->path, sqlite3_errmsg(db->handle),
		sys ? strerrordesc_np(sys) : "no error number");
}

static int
err_constraint(struct err *err, const struct db *db)
{
	switch (sqlite3_extended_errcode(db->handle)) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return err_set(err, ERR_EXISTS, "it exists already (%s)",
			sqlite3_errmsg(db->handle));
	default:
		return err_set(err, ERR_INVALID,
			"the database refuses this value: %s",
			sqlite3_errmsg(db->handle));
	}
}

int
db_err(struct err *err, const struct db *db)
{
	int rc = sqlite3_errcode(db->handle) & 0xff;

	switch (rc) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_BUSY,
			"'%s' is in use by other processes: try again",
			db->path);
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return err_storage(err, db, rc);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(err, ERR_SCHEMA,
			"'%s' is damaged or not a database: %s", db->path,
			sqlite3_errmsg(db->handle));
	case SQLITE_CONSTRAINT:
		return err_constraint(err, db);
	default:
		return err_set(err, ERR_SYS, "'%s': %s", db->path,
			sqlite3_errmsg(db->handle));
	}
}

/*
 * The alarm of followers: the notify file is opened for writing before the
 * commit and closed after it.  The kernel closes it also for a process that
 * is killed, so whoever waits for IN_CLOSE_WRITE is woken after every commit
 * that took place, and never only before it could be read.
 */
static int
begin_signal(struct db *db, int *ret_fd, struct err *err)
{
	int fd;

	if (!db->notify)
		return 0;
	fd = openat(db->dirfd, db->notify,
		O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", db->notify);
	*ret_fd = fd;
	return 0;
}

void
db_end_signal(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing was written */
	*fd = -1;
}

/* Statements. */

static struct db_rows *
cache_find(struct db *db, const char *sql)
{
	size_t i;

	for (i = 0; i < db->n; i++)
		if (db->cache[i]->sql == sql)
			return db->cache[i];
	return NULL;
}

static int
prepare(struct db *db, const char *sql, struct db_rows **ret, struct err *err)
{
	struct db_rows *r = cache_find(db, sql);

	if (!r) {
		sqlite3_stmt *stmt;

		if (sqlite3_prepare_v3(db->handle, sql, -1,
			SQLITE_PREPARE_PERSISTENT, &stmt, NULL)) {
			(void)db_err(err, db);
			return -1;
		}
		r = xcalloc(1, sizeof(*r));
		*r = (struct db_rows){ .db = db, .sql = sql, .stmt = stmt,
			.signal = -1 };
		if (db->n == db->alloc) {
			db->alloc = db->alloc ? 2 * db->alloc : 16;
			db->cache = xreallocarray(db->cache, db->alloc,
				sizeof(struct db_rows *));
		}
		db->cache[db->n++] = r;
	}
	if (r->open)
		BUG("a query is open twice: %s", sql);
	*ret = r;
	return 0;
}

static int
bind_one(sqlite3_stmt *stmt, int i, const struct db_value *v,
	sqlite3_destructor_type how)
{
	switch (v->type) {
	case DB_TYPE_INT:
		return sqlite3_bind_int64(stmt, i, v->i);
	case DB_TYPE_TEXT:
		return sqlite3_bind_text(stmt, i, v->p, -1, how);
	case DB_TYPE_BLOB:
		return sqlite3_bind_blob64(stmt, i, v->p, v->n, how);
	case DB_TYPE_NULL:
	case DB_END:
		break;
	}
	return sqlite3_bind_null(stmt, i);
}

static int
bind_all(struct db_rows *r, const struct db_value *values,
	sqlite3_destructor_type how, struct err *err)
{
	int n = 0;

	for (; values[n].type != DB_END; n++)
		if (bind_one(r->stmt, n + 1, &values[n], how))
			return db_err(err, r->db);
	if (n != sqlite3_bind_parameter_count(r->stmt))
		BUG("%d values for: %s", n, r->sql);
	return 0;
}

static int
rows_open(struct db *db, const char *sql, const struct db_value *values,
	sqlite3_destructor_type how, struct db_rows **ret, struct err *err)
{
	struct db_rows *r;

	if (prepare(db, sql, &r, err))
		return -1;
	r->open = true;
	if (bind_all(r, values, how, err) ||
		(sqlite3_get_autocommit(db->handle) &&
			!sqlite3_stmt_readonly(r->stmt) &&
			begin_signal(db, &r->signal, err))) {
		db_done(r);
		return -1;
	}
	*ret = r;
	return 0;
}

int
db_query_values(struct db *db, struct db_rows **ret, const char *sql,
	struct err *err, const struct db_value *values)
{
	/* The values need not outlive this call, the rows do. */
	return rows_open(db, sql, values, SQLITE_TRANSIENT, ret, err);
}

int
db_next(struct db_rows *r, struct err *err)
{
	switch (sqlite3_step(r->stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_err(err, r->db);
	}
}

void
db_done(struct db_rows *r)
{
	if (!r)
		return;
	(void)sqlite3_reset(r->stmt); /* repeats the error of step */
	(void)sqlite3_clear_bindings(r->stmt); /* cannot fail */
	db_end_signal(&r->signal);
	r->open = false;
}

void
cleanup_rows(struct db_rows **rows)
{
	db_done(*rows);
}

int
db_run_values(struct db *db, const char *sql, int *ret_changes,
	struct err *err, const struct db_value *values)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	if (rows_open(db, sql, values, SQLITE_STATIC, &r, err))
		return -1;
	while ((rc = db_next(r, err)) == 1)
		;
	if (!rc && ret_changes)
		*ret_changes = sqlite3_changes(db->handle);
	return rc;
}

bool
db_null(const struct db_rows *r, int col)
{
	return sqlite3_column_type(r->stmt, col) == SQLITE_NULL;
}

int64_t
db_int(const struct db_rows *r, int col)
{
	return sqlite3_column_int64(r->stmt, col);
}

const char *
db_text(const struct db_rows *r, int col)
{
	return (const char *)sqlite3_column_text(r->stmt, col);
}

const void *
db_blob(const struct db_rows *r, int col, size_t *ret_n)
{
	const void *p = sqlite3_column_blob(r->stmt, col);

	*ret_n = (size_t)sqlite3_column_bytes(r->stmt, col);
	return p;
}

/* The first row of a query, which stays open. */
static int
first_row(struct db *db, const char *sql, const struct db_value *values,
	struct db_rows **ret, struct err *err)
{
	int rc;

	if (db_query_values(db, ret, sql, err, values))
		return -1;
	rc = db_next(*ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOTFOUND, "no such row");
	return rc < 0 ? -1 : 0;
}

int
db_get_int_values(struct db *db, int64_t *ret, const char *sql,
	struct err *err, const struct db_value *values)
{
	CLEANUP_ROWS struct db_rows *r = NULL;

	if (first_row(db, sql, values, &r, err))
		return -1;
	*ret = db_int(r, 0);
	return 0;
}

int
db_get_text_values(struct db *db, char **ret, const char *sql,
	struct err *err, const struct db_value *values)
{
	CLEANUP_ROWS struct db_rows *r = NULL;

	if (first_row(db, sql, values, &r, err))
		return -1;
	*ret = xstrdup_null(db_text(r, 0));
	return 0;
}

/* Transactions. */

int
db_begin(struct db *db, struct txn *t, struct err *err)
{
	if (!sqlite3_get_autocommit(db->handle))
		BUG("nested db_begin");
	if (begin_signal(db, &db->signal, err))
		return -1;
	if (db_run(db, "BEGIN IMMEDIATE", NULL, err)) {
		db_end_signal(&db->signal);
		return -1;
	}
	t->db = db;
	return 0;
}

int
db_commit(struct txn *t, struct err *err)
{
	struct db *db = t->db;

	if (!db)
		BUG("db_commit without db_begin");
	if (db_run(db, "COMMIT", NULL, err))
		return -1; /* still open: the cleanup rolls it back */
	t->db = NULL;
	db_end_signal(&db->signal);
	return 0;
}

int
db_lazy(struct db *db, bool lazy, struct err *err)
{
	return db_run(db, lazy ? "PRAGMA synchronous = NORMAL" :
				 "PRAGMA synchronous = FULL", NULL, err);
}

void
db_rollback(struct txn *t)
{
	struct db *db = t->db;
	struct err ignored = ERR_INIT;

	if (!db)
		return;
	t->db = NULL;
	/* A full disk may have rolled it back already. */
	if (!sqlite3_get_autocommit(db->handle) &&
		db_run(db, "ROLLBACK", NULL, &ignored))
		BUG("cannot roll back: %s", ignored.msg);
	db_end_signal(&db->signal);
}
