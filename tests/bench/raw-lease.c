/*
 * raw-lease DATABASE HOLDER ROUNDS: what `forge-vm lease take HOLDER` and
 * `forge-vm lease release HOLDER` do to the database, ROUNDS times, and
 * nothing else: the same statements in the same durable transactions, on a
 * connection opened anew for each.  The subnet is 10.127.0.0/16.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST 0x0a7f0010 /* 10.127.0.16 */
#define LAST 0x0a7ffffe

static sqlite3 *db;

/* The first column of the first row, or -1; ?1 ?2 are numbers, ?3 a text. */
static sqlite3_int64
sql(const char *text, sqlite3_int64 a, sqlite3_int64 b, const char *holder)
{
	sqlite3_int64 answer = -1;
	sqlite3_stmt *stmt;
	int rc;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL))
		goto failed;
	(void)sqlite3_bind_int64(stmt, 1, a); /* not all texts have all */
	(void)sqlite3_bind_int64(stmt, 2, b);
	(void)sqlite3_bind_text(stmt, 3, holder, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (answer < 0)
			answer = sqlite3_column_int64(stmt, 0);
	if (!sqlite3_finalize(stmt))
		return answer;
failed:
	(void)fprintf(stderr, "raw-lease: %s: %s\n", text, sqlite3_errmsg(db));
	exit(1);
}

static void
begin(const char *path)
{
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) ||
		sqlite3_busy_timeout(db, 60000)) {
		(void)fprintf(stderr, "raw-lease: %s: cannot open\n", path);
		exit(1);
	}
	(void)sql("PRAGMA user_version", 0, 0, NULL);
	(void)sql("PRAGMA journal_mode = WAL", 0, 0, NULL);
	(void)sql("PRAGMA synchronous = FULL", 0, 0, NULL);
	(void)sql("BEGIN IMMEDIATE", 0, 0, NULL);
}

static void
event(sqlite3_int64 address, const char *holder, const char *text)
{
	(void)sql(text, address, 1700000000000, holder);
	(void)sql("COMMIT", 0, 0, NULL);
	(void)sqlite3_close(db);
}

static void
take(const char *path, const char *holder)
{
	sqlite3_int64 from, address;

	begin(path);
	from = sql("SELECT address FROM lease_cursor", 0, 0, NULL) + 1;
	if (from < FIRST || from > LAST)
		from = FIRST;
	address = sql("SELECT c FROM (SELECT ?1 AS c UNION ALL SELECT "
		"address + 1 FROM lease WHERE address >= ?1 AND address < ?2) "
		"WHERE NOT EXISTS (SELECT 1 FROM lease WHERE address = c) "
		"AND c <= ?2 ORDER BY c LIMIT 1", from, LAST, NULL);
	(void)sql("INSERT INTO lease (address, holder, vm, taken_at) "
		"VALUES (?1, ?3, NULL, ?2)", address, 1700000000000, holder);
	(void)sql("INSERT INTO lease_cursor (id, address) VALUES (1, ?1) "
		"ON CONFLICT (id) DO UPDATE SET address = ?1", address, 0, NULL);
	event(address, holder, "INSERT INTO event (at, kind, subject, data) "
		"VALUES (?2, 'lease.taken', ?3, format('{\"address\":%d}', ?1))");
}

static void
release(const char *path, const char *holder)
{
	sqlite3_int64 address;

	begin(path);
	(void)sql("SELECT vm IS NOT NULL FROM lease WHERE holder = ?3", 0, 0,
		holder);
	address = sql("SELECT address FROM lease WHERE holder = ?3", 0, 0,
		holder);
	(void)sql("DELETE FROM lease WHERE holder = ?3", 0, 0, holder);
	event(address, holder, "INSERT INTO event (at, kind, subject, data) "
		"VALUES (?2, 'lease.released', ?3, "
		"format('{\"address\":%d}', ?1))");
}

int
main(int argc, char **argv)
{
	int rounds = argc == 4 ? atoi(argv[3]) : 0;

	while (rounds-- > 0) {
		take(argv[1], argv[2]);
		release(argv[1], argv[2]);
	}
	return argc == 4 ? 0 : 2;
}
