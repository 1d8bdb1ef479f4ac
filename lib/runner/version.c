#include "lib/runner/version.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/github.h"
#include "lib/runner/pool.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define ASK_EVERY ((int64_t)6 * 3600 * 1000) /* ms */

int
version_compare(const char *a, const char *b)
{
	while (*a || *b) {
		char *end_a, *end_b;
		long x = strtol(a, &end_a, 10), y = strtol(b, &end_b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		a = end_a + (*end_a != '\0');
		b = end_b + (*end_b != '\0');
	}
	return 0;
}

bool
version_of_file(const char *file, char *ret, size_t size)
{
	const char *s = strrchr(file, '-');
	size_t n = s ? strspn(s + 1, "0123456789.") : 0;

	while (n && s[n] == '.') /* of ".tar.gz" */
		n--;
	if (!n || n >= size)
		return false;
	memcpy(ret, s + 1, n);
	ret[n] = '\0';
	return strchr(ret, '.') != NULL;
}

/* ---- what is released ---- */

static int
record(struct db *db, const char *version, struct err *err)
{
	static const char sql[] =
		"INSERT INTO release (version, seen_at, asked_at) "
		"VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE SET asked_at = ?2";

	return db_run(db, sql, NULL, err, DB_S(version), DB_I(clock_wall()));
}

/* No answer: the next question is as far away as after one. */
static int
note_failure(struct db *db, struct err *err)
{
	return record(db, "0.0.0", err);
}

static int
ask(struct state *st, struct db *db, const struct pool *pool,
	struct err *err)
{
	CLEANUP_GITHUB struct github *gh = NULL;
	CLEANUP_REPLY struct github_reply reply = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *account = NULL, *path = NULL;
	char version[32];
	size_t i, n;

	if (github_open(st, pool->github, &gh, err) ||
		github_account(pool->scope, &account, err))
		return -1;
	if (github_is_gitea(gh))
		return note_failure(db, err); /* it has no list of them */
	path = xasprintf("/%s/actions/runners/downloads", account);
	if (github_get(gh, pool->scope, path, NULL, &reply, err))
		return -1;
	n = reply.json ? json_len(reply.json, "") : 0;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *file = json_at(reply.json, i);

		if (!strcmp(json_str(file, "os", ""), "linux") &&
			version_of_file(json_str(file, "filename", ""),
				version, sizeof(version)))
			return record(db, version, err);
	}
	return 0;
}

/* ---- who is behind ---- */

/* ms since a newer version than this was first seen; -1: none was. */
static int
behind(struct db *db, const char *version, char **ret_newest,
	int64_t *ret_since, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int64_t first = -1;
	int rc;

	if (db_query(db, &rows, "SELECT version, seen_at FROM release "
		    "ORDER BY seen_at DESC", err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		if (version_compare(db_text(rows, 0), version) <= 0)
			continue;
		first = db_int(rows, 1);
		if (!*ret_newest)
			*ret_newest = xstrdup(db_text(rows, 0));
	}
	*ret_since = first < 0 ? -1 : clock_wall() - first;
	return rc;
}

static int
tell_old(struct db *db, const char *pool, tell_fn *told, struct err *err)
{
	static const char sql[] =
		"SELECT version FROM runner WHERE state = 'done' AND "
		"pool = ?1 AND version IS NOT NULL "
		"ORDER BY done_at DESC LIMIT 1";
	CLEANUP_FREE char *version = NULL, *newest = NULL;
	int64_t since;

	if (db_get_text(db, &version, sql, err, DB_S(pool))) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT;
		return 0;
	}
	if (behind(db, version, &newest, &since, err))
		return -1;
	if (version_compare(version, VERSION_LEAST) < 0)
		tell_line(told, "pool '%s': its listener %s is older than "
			VERSION_LEAST ", the oldest that GitHub takes: make "
			"its image anew", pool, version);
	else if (since > VERSION_WARN)
		tell_line(told, "pool '%s': its listener %s is %lld days "
			"behind %s, and GitHub gives it no jobs after 30: "
			"make its image anew", pool, version,
			(long long)(since / (24 * 3600 * 1000)), newest);
	return 0;
}

int
version_check(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	CLEANUP_POOLS struct pools pools = { 0 };
	struct err one = ERR_INIT;
	struct db *db;
	int64_t asked;
	size_t i;

	if (state_db(st, &db, err) || pools_load(st, &pools, err) ||
		db_get_int(db, &asked, "SELECT coalesce(max(asked_at), 0) "
			"FROM release", err, DB_LAST))
		return -1;
	if (!pools.n || (!dry && clock_wall() - asked < ASK_EVERY))
		return 0;
	/* GitHub may be away: what is known is told all the same. */
	if (!dry && ask(st, db, &pools.v[0], &one)) {
		tell_line(told, "released listeners are not known: %s",
			one.msg);
		if (note_failure(db, err))
			return -1;
	}
	for (i = 0; i < pools.n; i++)
		if (tell_old(db, pools.v[i].name, told, err))
			return -1;
	return 0;
}
