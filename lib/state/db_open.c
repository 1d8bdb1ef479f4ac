#include "lib/state/db_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
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
	/* No program of ours has a second thread that uses it, or asks what
	 * it used: no locks, no counts.  Refused, rightly, after the first. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_open_v2(db->path, &db->handle, flags, NULL))
		return db_err(err, db);
	(void)sqlite3_extended_result_codes(db->handle, 1); /* cannot fail */
	return 0;
}

static int
exec(struct db *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) ?
		db_err(err, db) : 0;
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
		return db_err(err, db);
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
		db_end_signal(&db->cache[i]->signal);
		free(db->cache[i]);
	}
	free(db->cache);
	keep_log(db);
	if (sqlite3_close(db->handle))
		BUG("a statement of '%s' is still open", db->path);
	db_end_signal(&db->signal);
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
