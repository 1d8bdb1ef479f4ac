#include "lib/state/db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/migrations.h"
#include "lib/base/banned.h"


/* Up to so much of the log is left for the next who opens: see db_close(). */
#define LOG_KEPT ((off_t)256 << 10)

/* A prepared statement of the cache, and its rows while it is open. */
struct db_rows {
	struct db *db;
	const char *sql; /* the key is this address */
	sqlite3_stmt *stmt;
	bool open;
	int signal; /* see begin_signal(), or -1 */
};

struct db {
	sqlite3 *handle;
	char *path;
	struct db_rows **cache;
	size_t n, alloc;
	int timeout_ms;
	int64_t busy_until; /* monotonic ms: the end of this wait */
	int dirfd; /* of notify; borrowed */
	char *notify; /* or NULL */
	int signal; /* of the open transaction, or -1 */
};

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

static int
err_sqlite(struct err *err, const struct db *db)
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

static void
end_signal(int *fd)
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
			SQLITE_PREPARE_PERSISTENT, &stmt, NULL))
			return err_sqlite(err, db);
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
			return err_sqlite(err, r->db);
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
		return err_sqlite(err, r->db);
	}
}

void
db_done(struct db_rows *r)
{
	if (!r)
		return;
	(void)sqlite3_reset(r->stmt); /* repeats the error of step */
	(void)sqlite3_clear_bindings(r->stmt); /* cannot fail */
	end_signal(&r->signal);
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
		end_signal(&db->signal);
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
	end_signal(&db->signal);
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
	end_signal(&db->signal);
}

/* Opening. */

static int
check_filesystem(const char *path, struct err *err)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} remote[] = {
		{ NFS_SUPER_MAGIC, "NFS" },
		{ SMB_SUPER_MAGIC, "SMB" },
		{ CIFS_SUPER_MAGIC, "CIFS" },
		{ SMB2_SUPER_MAGIC, "SMB" },
		{ AFS_FS_MAGIC, "AFS" },
		{ CODA_SUPER_MAGIC, "Coda" },
		{ V9FS_MAGIC, "9p" },
		{ CEPH_SUPER_MAGIC, "Ceph" },
	};
	struct statfs fs;
	size_t i;

	if (statfs(path, &fs))
		return err_sys(err, "cannot stat the file system of '%s'",
			path);
	for (i = 0; i < ARRAY_SIZE(remote); i++)
		if ((unsigned long)fs.f_type == remote[i].magic)
			return err_set(err, ERR_SYS,
				"'%s' is on %s, a network file system, where "
				"locks are not reliable: choose a local state "
				"directory with -C or $FORGE_STATE",
				path, remote[i].name);
	return 0;
}

/*
 * SQLite would make the file readable to all.  O_EXCL, and only when it is
 * not there: closing an fd of a database that this process has open already
 * would drop SQLite's locks.
 */
static int
open_handle(struct db *db, struct err *err)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (!fs_exists(AT_FDCWD, db->path)) {
		CLEANUP_CLOSE int fd = open(db->path,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd < 0 && errno != EEXIST)
			return err_sys(err, "cannot create '%s'", db->path);
	}
	if (check_filesystem(db->path, err))
		return -1;
	if (sqlite3_open_v2(db->path, &db->handle, flags, NULL))
		return err_sqlite(err, db);
	(void)sqlite3_extended_result_codes(db->handle, 1); /* cannot fail */
	return 0;
}

static int
exec(struct db *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) ?
		err_sqlite(err, db) : 0;
}

/*
 * SQLite does not wait where two switch to WAL at once, as the first users
 * of a new database do.
 */
static int
enter_wal(struct db *db, struct err *err)
{
	int64_t deadline = clock_mono() + db->timeout_ms;
	const struct timespec pause = { .tv_nsec = 2000000 };

	for (;;) {
		struct err e = ERR_INIT;
		CLEANUP_FREE char *mode = NULL;

		if (!db_get_text(db, &mode, "PRAGMA journal_mode = WAL", &e)) {
			if (mode && !strcmp(mode, "wal"))
				return 0;
			return err_set(err, ERR_SYS,
				"'%s' cannot use a write-ahead log",
				db->path);
		}
		if (e.code != ERR_BUSY || !clock_left(deadline)) {
			*err = e;
			return -1;
		}
		(void)nanosleep(&pause, NULL); /* shorter is no harm */
	}
}

static int
get_version(struct db *db, int64_t *ret, struct err *err)
{
	if (db_get_int(db, ret, "PRAGMA user_version", err))
		return -1;
	if (*ret < 0 || *ret > migrations_count)
		return err_set(err, ERR_SCHEMA,
			"'%s' belongs to a newer forge (schema %" PRId64
			", this one knows %d): upgrade this program",
			db->path, *ret, migrations_count);
	return 0;
}

static int
migrate(struct db *db, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	int64_t version;

	if (db_begin(db, &t, err) || get_version(db, &version, err))
		return -1;
	/* Somebody else may have been first: then nothing is left to do. */
	for (; version < migrations_count; version++)
		if (exec(db, migrations[version], err))
			return err_wrap(err, "migration %" PRId64,
				version + 1);
	/* A pragma takes no bound value. */
	CLEANUP_FREE char *sql = xasprintf("PRAGMA user_version = %d",
		migrations_count);
	if (exec(db, sql, err))
		return -1;
	return db_commit(&t, err);
}

static int
set_up(struct db *db, struct err *err)
{
	int64_t version;

	db_set_timeout(db, DB_TIMEOUT);
	if (sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1,
			NULL) ||
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA,
			0, NULL))
		return err_sqlite(err, db);
	/* Before anything is written: a newer or foreign file stays as it is. */
	if (get_version(db, &version, err) || enter_wal(db, err) ||
		exec(db, "PRAGMA synchronous = FULL", err))
		return -1;
	return version < migrations_count ? migrate(db, err) : 0;
}

int
db_open(const char *path, struct db **ret, struct err *err)
{
	struct db *db = xcalloc(1, sizeof(*db));

	db->path = xstrdup(path);
	db->signal = -1;
	if (open_handle(db, err) || set_up(db, err)) {
		db_close(db);
		return -1;
	}
	*ret = db;
	return 0;
}

/*
 * The last of all that close would write the log back, sync the file twice
 * and remove the log, and the next would make a new one and sync that: four
 * times the disk, for each command of somebody who works alone.  A short log
 * is read by the next in no time.
 */
static void
keep_log(struct db *db)
{
	CLEANUP_FREE char *path = xasprintf("%s-wal", db->path);
	struct stat sb;

	if (!stat(path, &sb) && sb.st_size <= LOG_KEPT)
		(void)sqlite3_db_config(db->handle,
			SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void
db_close(struct db *db)
{
	size_t i;

	if (!db)
		return;
	for (i = 0; i < db->n; i++) {
		(void)sqlite3_finalize(db->cache[i]->stmt); /* old errors */
		end_signal(&db->cache[i]->signal);
		free(db->cache[i]);
	}
	free(db->cache);
	keep_log(db);
	if (sqlite3_close(db->handle))
		BUG("a statement of '%s' is still open", db->path);
	end_signal(&db->signal);
	free(db->notify);
	free(db->path);
	free(db);
}

/*
 * SQLite's own handler backs off to 100 ms, and who came last is served last:
 * one webhook of a hundred then takes most of a second.  A transaction of
 * ours is over in a few ms, so ask again after one to three.
 */
static int
wait_turn(void *arg, int tries)
{
	struct db *db = arg;
	struct timespec ts = { 0 };
	uint16_t r;

	if (!tries)
		db->busy_until = clock_mono() + db->timeout_ms;
	if (!clock_left(db->busy_until))
		return 0;
	random_bytes(&r, sizeof(r));
	ts.tv_nsec = 1000000L + r % 2000 * 1000L;
	(void)nanosleep(&ts, NULL); /* shorter is no harm */
	return 1;
}

void
db_set_timeout(struct db *db, int ms)
{
	db->timeout_ms = ms;
	(void)sqlite3_busy_handler(db->handle, wait_turn, db);
}

void
db_set_notify(struct db *db, int dirfd, const char *path)
{
	free(db->notify);
	db->notify = xstrdup(path);
	db->dirfd = dirfd;
}
