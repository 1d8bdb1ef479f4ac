#include "lib/state/db.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/state/migrations.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static const char put[] = "INSERT INTO etag (url, tag, body, at)"
			  " VALUES (?, ?, '', ?)";
static const char count[] = "SELECT count(*) FROM etag";

static int64_t
rows(struct db *db)
{
	struct err err = ERR_INIT;
	int64_t n = -1;

	if (db_get_int(db, &n, count, &err))
		printf("# %s\n", err.msg);
	return n;
}

static struct db *
need_db(const char *path)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;

	if (db_open(path, &db, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return db;
}

static void
test_migrations(const char *source)
{
	DIR *d = opendir(source);
	struct dirent *e;
	int n = 0;

	if (!d) {
		skip("all files of share/migrations are compiled in",
			"not started in the source tree");
		return;
	}
	while ((e = readdir(d)))
		n += strstr(e->d_name, ".sql") != NULL;
	closedir(d);
	is_int(migrations_count, n,
		"all files of share/migrations are compiled in");
}

static int
opener(int i)
{
	struct err err = ERR_INIT;
	struct db *db;
	char name[32];

	snprintf(name, sizeof(name), "opener %d", i);
	if (db_open("twenty.db", &db, &err) ||
		db_run(db, put, NULL, &err, DB_S(name), DB_S("t"), DB_I(i))) {
		printf("# opener %d: %s\n", i, err.msg);
		fflush(stdout);
		return 1;
	}
	db_close(db);
	return 0;
}

static void
test_first_open(void)
{
	struct stat st;

	is_int(tmp_children(20, opener), 0,
		"20 processes open a new database at once");
	struct db *db = need_db("twenty.db");
	is_int(rows(db), 20, "and each wrote its row");
	struct err err = ERR_INIT;
	char *mode = NULL;
	ok(!db_get_text(db, &mode, "PRAGMA journal_mode", &err), "read mode");
	is_str(mode, "wal", "the database has a write-ahead log");
	free(mode);
	int64_t n = 0;
	ok(!db_get_int(db, &n, "PRAGMA foreign_keys", &err) && n == 1,
		"foreign keys are enforced");
	ok(!db_get_int(db, &n, "PRAGMA synchronous", &err) && n == 2,
		"synchronous is full");
	ok(!db_get_int(db, &n, "PRAGMA trusted_schema", &err) && n == 0,
		"the schema is not trusted");
	ok(!stat("twenty.db", &st) && (st.st_mode & 07777) == 0600,
		"the file is private");
	ok(!stat("twenty.db-wal", &st) && (st.st_mode & 07777) == 0600,
		"and so is the log");
	db_close(db);
}

static void
test_values(void)
{
	struct db *db = need_db("values.db");
	struct err err = ERR_INIT;
	struct db_rows *r = NULL;
	const void *p;
	int changes = -1;
	size_t n;

	ok(!db_query(db, &r, "SELECT ?, ?, ?, ?, ?", &err, DB_I(INT64_MIN),
		DB_S("a'b"), DB_B("\0x", 2), DB_NULL, DB_S(NULL)), "query");
	is_int(db_next(r, &err), 1, "one row");
	ok(db_int(r, 0) == INT64_MIN, "integer");
	is_str(db_text(r, 1), "a'b", "text");
	p = db_blob(r, 2, &n);
	ok(n == 2 && !memcmp(p, "\0x", 2), "blob");
	ok(db_null(r, 3) && db_null(r, 4) && !db_text(r, 4), "NULL");
	is_int(db_next(r, &err), 0, "no second row");
	db_done(r);
	ok(!db_run(db, put, &changes, &err, DB_S("u"), DB_S("t"), DB_I(1)) &&
		changes == 1, "insert tells of one change");
	ok(db_run(db, put, NULL, &err, DB_S("u"), DB_S("t"), DB_I(1)) == -1 &&
		err.code == ERR_EXISTS, "the same key again exists");
	ok(db_run(db, "INSERT INTO image (name, state, base, created_at)"
		" VALUES ('i', 'odd', '', 0)", NULL, &err) == -1 &&
		err.code == ERR_INVALID, "a check refuses a wrong state");
	ok(db_run(db, "INSERT INTO lease (address, holder, vm, taken_at)"
		" VALUES (1, 'h', 'none', 0)", NULL, &err) == -1 &&
		err.code == ERR_INVALID, "a foreign key must exist");
	int64_t i;
	ok(db_get_int(db, &i, "SELECT at FROM etag WHERE url = 'none'",
		&err) == -1 && err.code == ERR_NOTFOUND, "no row: not found");
	db_close(db);
}

static void
scoped_insert(struct db *db, bool commit)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct err err = ERR_INIT;

	if (db_begin(db, &t, &err) ||
		db_run(db, put, NULL, &err, DB_S("scoped"), DB_S("t"),
			DB_I(1)))
		return;
	if (commit && db_commit(&t, &err))
		printf("# %s\n", err.msg);
}

static void
test_transactions(void)
{
	struct db *db = need_db("txn.db"), *other = need_db("txn.db");
	struct err err = ERR_INIT;

	scoped_insert(db, false);
	is_int(rows(db), 0, "leaving the scope rolls back");
	scoped_insert(db, true);
	is_int(rows(other), 1, "a commit is seen by others");
	{
		CLEANUP_TXN struct txn a = TXN_INIT, b = TXN_INIT;
		int64_t before = clock_mono(), took;

		ok(!db_begin(db, &a, &err), "begin");
		db_set_timeout(other, 100);
		ok(db_begin(other, &b, &err) == -1 && err.code == ERR_BUSY,
			"a second writer finds it busy");
		took = clock_mono() - before;
		ok(took >= 90 && took < 3000, "after its timeout");
	}
	ok(!db_run(other, put, NULL, &err, DB_S("after"), DB_S("t"),
		DB_I(2)), "and can write when the first is gone");
	db_close(db);
	db_close(other);
}

static int
writer(int i)
{
	struct db *db = need_db("two.db");
	struct err err = ERR_INIT;
	int n, bad = 0;

	for (n = 0; n < 50; n++) {
		CLEANUP_TXN struct txn t = TXN_INIT;
		int64_t seen;

		/* Read, then write what was read: lost without the lock. */
		bad |= db_begin(db, &t, &err) ||
			db_get_int(db, &seen, "SELECT coalesce(max(at), 0)"
				" FROM etag", &err) ||
			db_run(db, "INSERT INTO etag (url, tag, body, at)"
				" VALUES (hex(randomblob(8)), ?, '', ?)",
				NULL, &err, DB_I(i), DB_I(seen + 1)) ||
			db_commit(&t, &err);
	}
	if (bad)
		printf("# writer %d: %s\n", i, err.msg);
	fflush(stdout);
	db_close(db);
	return bad;
}

static void
test_writers(void)
{
	struct err err = ERR_INIT;
	int64_t n = 0;

	is_int(tmp_children(2, writer), 0, "two writers of 50 transactions");
	struct db *db = need_db("two.db");
	ok(!db_get_int(db, &n, "SELECT max(at) FROM etag", &err) && n == 100,
		"no update was lost");
	db_close(db);
}

/* Dies within a transaction (0), or right after a commit (1). */
static int
victim(int i)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct db *db = need_db("kill.db");
	struct err err = ERR_INIT;
	int n;

	/* A small cache spills to the log, as a large transaction does. */
	if (db_run(db, "PRAGMA cache_size = 10", NULL, &err) ||
		db_begin(db, &t, &err))
		return 1;
	for (n = 0; n < 2000; n++) {
		char name[32];

		snprintf(name, sizeof(name), "victim %d %d", i, n);
		if (db_run(db, put, NULL, &err, DB_S(name), DB_S("t"),
			DB_I(n)))
			return 1;
	}
	if (i && db_commit(&t, &err))
		return 1;
	return raise(SIGKILL);
}

static int
victim_after_commit(int i)
{
	return victim(i + 1);
}

static void
test_kill(void)
{
	struct err err = ERR_INIT;
	char *check = NULL;

	is_int(tmp_children(1, victim), 1000, "killed in a transaction");
	struct db *db = need_db("kill.db");
	is_int(rows(db), 0, "nothing of it is left");
	ok(!db_run(db, put, NULL, &err, DB_S("x"), DB_S("t"), DB_I(1)),
		"and its lock is gone");
	db_close(db);
	is_int(tmp_children(1, victim_after_commit), 1000,
		"killed after a commit");
	db = need_db("kill.db");
	is_int(rows(db), 2001, "everything of it is there");
	ok(!db_get_text(db, &check, "PRAGMA integrity_check", &err), "check");
	is_str(check, "ok", "the database is sound");
	free(check);
	db_close(db);
}

static void
test_refused(void)
{
	struct err err = ERR_INIT;
	struct db *db = need_db("newer.db");
	char want[256];

	ok(!db_run(db, "PRAGMA user_version = 999", NULL, &err), "set 999");
	db_close(db);
	ok(db_open("newer.db", &db, &err) == -1 && err.code == ERR_SCHEMA,
		"a newer schema is refused");
	snprintf(want, sizeof(want),
		"'newer.db' belongs to a newer forge (schema 999, this one "
		"knows %d): upgrade this program", migrations_count);
	is_str(err.msg, want, "with a clear line");
	tmp_write("text.db", "this is not a database, but a long text that "
		"is more than a header of SQLite, which has 100 bytes.\n");
	ok(db_open("text.db", &db, &err) == -1 && err.code == ERR_SCHEMA,
		"a file that is no database is refused");
	is_str(err.msg, "'text.db' is damaged or not a database: "
		"file is not a database", "with a clear line");
	ok(db_open("none/x.db", &db, &err) == -1 &&
		err.code == ERR_NOTFOUND, "no directory: not found");
}

static void
fill(const char *path)
{
	struct db *db = need_db(path);
	struct err err = ERR_INIT;
	int64_t before, n = 0;

	while (n < 10000 && !db_run(db, "INSERT INTO etag (url, tag, body, at)"
		" VALUES (?, '', hex(zeroblob(20000)), 0)", NULL, &err,
		DB_I(n)))
		n++;
	before = rows(db);
	is_str(err.msg, "database or disk is full: free some space for "
		"'full/x.db'", "a full disk is told as such");
	is_int(err.code, ERR_SYS, "as a failure of the system");
	ok(n > 0 && before == n, "what was committed before is there");
	db_close(db);
}

static void
test_full(void)
{
	if (mkdir("full", 0700) || mount("none", "full", "tmpfs", 0,
		"size=2m,mode=0700")) {
		skip("full disk", strerror(errno));
		return;
	}
	fill("full/x.db");
	struct db *db = need_db("full/x.db");
	struct err err = ERR_INIT;
	char *check = NULL;
	ok(!db_get_text(db, &check, "PRAGMA integrity_check", &err), "check");
	is_str(check, "ok", "the database on the full disk is sound");
	free(check);
	db_close(db);
	is_int(umount("full"), 0, "unmounted");
}

int
main(void)
{
	char source[4096];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!realpath("share/migrations", source))
		source[0] = '\0';
	tmp_enter();
	test_migrations(source);
	test_first_open();
	test_values();
	test_transactions();
	test_writers();
	test_kill();
	test_refused();
	test_full();
	tmp_leave();
	return done();
}
