#include "lib/state/secret.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static struct state *
need_state(const char *path)
{
	struct err err = ERR_INIT;
	struct state *st = NULL;

	setenv("FORGE_STATE", path, 1);
	if (state_open(&st, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return st;
}

static void
test_round(void)
{
	CLEANUP_STATE struct state *st = need_state("round");
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	int64_t expires = -1, later = clock_wall() + 60000;
	struct stat s;

	ok(secret_get(st, "t", &b, NULL, &err) == -1 &&
		err.code == ERR_NOTFOUND, "absent: not found");
	ok(!secret_put(st, "t", "a\0b", 3, later, &err), "put");
	ok(!secret_get(st, "t", &b, &expires, &err), "get");
	ok(b.len == 3 && !memcmp(b.s, "a\0b", 3), "gives the bytes back");
	ok(expires == later, "and the time");
	ok(!fstatat(state_dir(st), "secret.key", &s, 0) && s.st_size == 32 &&
		(s.st_mode & 07777) == 0600, "the key is private");
	ok(!secret_put(st, "t", "", 0, 0, &err), "replace by nothing");
	buf_reset(&b);
	ok(!secret_get(st, "t", &b, &expires, &err) && !b.len && !expires,
		"an empty secret");
	ok(!secret_put(st, "t", "x", 1, 1, &err) &&
		secret_get(st, "t", &b, NULL, &err) == -1 &&
		err.code == ERR_NOTFOUND, "expired: not found");
	ok(!secret_remove(st, "t", &err), "remove");
	ok(secret_remove(st, "t", &err) == -1 && err.code == ERR_NOTFOUND,
		"a second time: not found");
}

/* Put "one", change the sealed row with sql, and read name. */
static void
tamper(const char *sql, const char *name, const char *what)
{
	CLEANUP_STATE struct state *st = need_state("tamper");
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct db *db;
	int changes = 0;

	ok(!state_db(st, &db, &err) &&
		!db_run(db, "DELETE FROM secret", NULL, &err) &&
		!secret_put(st, "one", "secret text", 11, 0, &err) &&
		!db_run(db, sql, &changes, &err) && changes == 1, what);
	ok(secret_get(st, name, &b, NULL, &err) == -1 &&
		err.code == ERR_SCHEMA && !b.len, "is refused");
}

static void
test_tampers(void)
{
	static const struct {
		const char *sql, *name, *what;
	} cases[] = {
		{ "UPDATE secret SET name = 'two' WHERE name = 'one'", "two",
			"moved to another name" },
		{ "UPDATE secret SET sealed = CAST(substr(sealed, 1, 1) ||"
		  " substr(sealed, 3) || substr(sealed, 2, 1) AS BLOB)"
		  " WHERE name = 'one'", "one", "bytes moved" },
		{ "UPDATE secret SET sealed = substr(sealed, 1, 39)"
		  " WHERE name = 'one'", "one", "cut off" },
		{ "UPDATE secret SET sealed = x'01' WHERE name = 'one'",
			"one", "too short" },
		{ "UPDATE secret SET sealed = CAST(x'02' ||"
		  " substr(sealed, 2) AS BLOB) WHERE name = 'one'", "one",
			"another version" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		tamper(cases[i].sql, cases[i].name, cases[i].what);
}

static void
test_plaintext(void)
{
	CLEANUP_STATE struct state *st = need_state("plain");
	struct err err = ERR_INIT;
	struct db *db;
	int64_t n = -1;

	ok(!state_db(st, &db, &err) &&
		!secret_put(st, "a", "needle", 6, 0, &err) &&
		!secret_put(st, "b", "needle", 6, 0, &err), "two alike");
	ok(!db_get_int(db, &n, "SELECT count(DISTINCT sealed) FROM secret",
		&err) && n == 2, "are sealed differently");
	ok(!db_get_int(db, &n, "SELECT count(*) FROM secret"
		" WHERE instr(sealed, x'6e6565646c65')", &err) && n == 0,
		"and not readable");
}

static void
test_key(void)
{
	CLEANUP_STATE struct state *st = need_state("key");
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	ok(!secret_put(st, "a", "x", 1, 0, &err), "put");
	(void)!fchmodat(state_dir(st), "secret.key", 0640, 0);
	ok(secret_get(st, "a", &b, NULL, &err) == -1 &&
		err.code == ERR_SCHEMA, "a key that others read is refused");
	ok(!unlinkat(state_dir(st), "secret.key", 0) &&
		secret_get(st, "a", &b, NULL, &err) == -1 &&
		err.code == ERR_SCHEMA, "a missing key is told");
	ok(faccessat(state_dir(st), "secret.key", F_OK, 0) == -1,
		"and reading makes no new one");
}

static int
first_user(int i)
{
	CLEANUP_STATE struct state *st = need_state("race");
	struct err err = ERR_INIT;
	char name[16];

	snprintf(name, sizeof(name), "n%d", i);
	if (!secret_put(st, name, name, strlen(name), 0, &err))
		return 0;
	printf("# %s\n", err.msg);
	fflush(stdout);
	return 1;
}

static void
test_race(void)
{
	struct state *st;
	int i, good = 0;

	is_int(tmp_children(10, first_user), 0, "10 first users at once");
	st = need_state("race");
	for (i = 0; i < 10; i++) {
		CLEANUP_BUF struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		good += !secret_get(st, name, &b, NULL, &err) &&
			!strcmp(b.s, name);
	}
	is_int(good, 10, "used the same key");
	state_close(st);
}

int
main(void)
{
	tmp_enter();
	test_round();
	test_tampers();
	test_plaintext();
	test_key();
	test_race();
	tmp_leave();
	return done();
}
