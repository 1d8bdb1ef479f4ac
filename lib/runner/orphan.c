#include "lib/runner/orphan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/github.h"
#include "lib/runner/pool.h"
#include "lib/runner/stop.h"
#include "lib/runner/twice.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { PAGE = 100, PAGES_MAX = 100, RANDOM = 8, STOP_MS = 20000 };

struct sweep {
	struct state *st;
	struct db *db;
	int dry;
	tell_fn *told;
	const struct pool *pool;
	struct github *gh;
};

/* ---- twice ---- */

static char *
key_of(const struct sweep *s, const char *name)
{
	return xasprintf("orphan %s %s %s", github_name(s->gh),
		s->pool->scope, name);
}

static int
forget(struct sweep *s, const char *name, struct err *err)
{
	CLEANUP_FREE char *key = key_of(s, name);

	return twice_forget(s->db, key, err);
}

static int
seen_before(struct sweep *s, const char *name, bool *ret, struct err *err)
{
	CLEANUP_FREE char *key = key_of(s, name);

	return twice_seen(s->db, key, s->dry, ret, err);
}

/* ---- at GitHub, and not here ---- */

static int
has_row(struct sweep *s, const char *name, bool *ret, struct err *err)
{
	int64_t n;

	if (db_get_int(s->db, &n, "SELECT count(*) FROM runner "
			"WHERE name = ?1", err, DB_S(name)))
		return -1;
	*ret = n > 0;
	return 0;
}

/* PREFIX-xxxxxxxx: nobody else's names look like that by chance. */
static bool
could_be_ours(const struct pool *pool, const char *name)
{
	size_t n = strlen(pool->prefix);

	return !strncmp(name, pool->prefix, n) && name[n] == '-' &&
		strlen(name + n + 1) == RANDOM &&
		strspn(name + n + 1, "abcdefghijklmnopqrstuvwxyz0123456789") ==
		RANDOM;
}

static int
look_at(struct sweep *s, const struct json *row, struct err *err)
{
	const char *name = json_str(row, "name", "");
	bool known, again, alive = json_bool(row, "busy", true) ||
		strcmp(json_str(row, "status", ""), "offline") != 0;
	struct err one = ERR_INIT;

	if (!could_be_ours(s->pool, name))
		return 0;
	if (has_row(s, name, &known, err))
		return -1;
	if (known)
		return 0; /* sync's work, or a live one's */
	if (alive)
		return forget(s, name, err);
	if (seen_before(s, name, &again, err))
		return -1;
	if (!again || s->dry) {
		tell_line(s->told, "runner '%s': at '%s', and not known here",
			name, s->pool->scope);
		return 0;
	}
	if (github_runner_remove(s->gh, s->pool->scope,
			json_int(row, "id", 0), &one)) {
		tell_line(s->told, "runner '%s': not removed at GitHub: %s",
			name, one.msg);
		return 0;
	}
	tell_line(s->told, "runner '%s': not known here, removed at GitHub",
		name);
	return forget(s, name, err);
}

/* Those before a row that cannot be asked for are done. *ret_n: how many. */
static int
look_at_page(struct sweep *s, const char *account, int page, size_t *ret_n,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("/%s/actions/runners?per_page=%d"
		"&page=%d%s", account, PAGE, page,
		github_is_gitea(s->gh) ? "&limit=50" : "");
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_JSON struct json *list = NULL;
	struct err why = ERR_INIT;
	size_t i;

	*ret_n = 0;
	if (github_get(s->gh, s->pool->scope, path, NULL, &r, &why)) {
		tell_line(s->told, "'%s' was not asked for runners: %s",
			s->pool->scope, why.msg);
		return 0;
	}
	list = json_get(r.json, "runners");
	*ret_n = list ? json_len(list, "") : 0;
	for (i = 0; i < *ret_n; i++) {
		CLEANUP_JSON struct json *row = json_at(list, i);

		if (look_at(s, row, err))
			return -1;
	}
	return 0;
}

static int
sweep_github(struct sweep *s, struct err *err)
{
	CLEANUP_FREE char *account = NULL;
	size_t n = PAGE;
	int page;

	if (github_account(s->pool->scope, &account, err))
		return -1;
	for (page = 1; page <= PAGES_MAX && (n == PAGE ||
		(n && github_is_gitea(s->gh))); page++)
		if (look_at_page(s, account, page, &n, err))
			return -1;
	return 0;
}

/* ---- here, and not at GitHub ---- */

static int
end_here(struct sweep *s, const char *name, struct err *err)
{
	struct err one = ERR_INIT;

	if (runner_stop(s->st, name, false, STOP_MS, &one))
		tell_line(s->told, "runner '%s': not ended: %s", name, one.msg);
	else
		tell_line(s->told, "runner '%s': GitHub has it no more, ended",
			name);
	return forget(s, name, err);
}

static int
look_for(struct sweep *s, const char *name, int64_t id, struct err *err)
{
	struct github_runner at;
	struct err why = ERR_INIT;
	bool again;

	if (!github_runner_get(s->gh, s->pool->scope, id, &at, &why))
		return forget(s, name, err);
	if (why.code != ERR_NOTFOUND)
		return 0; /* not known now */
	if (seen_before(s, name, &again, err))
		return -1;
	if (again && !s->dry)
		return end_here(s, name, err);
	tell_line(s->told, "runner '%s': not at '%s' any more",
		name, s->pool->scope);
	return 0;
}

static int
sweep_rows(struct sweep *s, struct err *err)
{
	static const char sql[] =
		"SELECT name, github_id FROM runner WHERE pool = ?1 AND "
		"state = 'idle' AND github_id > 0 AND registered = 1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	CLEANUP_FREE int64_t *ids = NULL;
	size_t i;
	int rc;

	if (db_query(s->db, &rows, sql, err, DB_S(s->pool->name)))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		ids = xreallocarray(ids, names.n + 1, sizeof(*ids));
		ids[names.n] = db_int(rows, 1);
		argv_push(&names, db_text(rows, 0));
	}
	for (i = 0; !rc && i < names.n; i++)
		rc = look_for(s, names.v[i], ids[i], err);
	return rc;
}

/* ---- all pools ---- */

static int
sweep_pool(struct sweep *s, struct err *err)
{
	CLEANUP_GITHUB struct github *gh = NULL;
	struct err why = ERR_INIT;
	int rc;

	if (github_open(s->st, s->pool->github, &gh, &why)) {
		tell_line(s->told, "pool '%s': %s", s->pool->name, why.msg);
		return 0;
	}
	github_set_background(gh);
	s->gh = gh;
	rc = sweep_github(s, err) || sweep_rows(s, err) ? -1 : 0;
	s->gh = NULL;
	return rc;
}

int
orphans_sweep(struct state *st, int dry, tell_fn *told, struct err *err)
{
	struct sweep s = { .st = st, .dry = dry, .told = told };
	CLEANUP_POOLS struct pools pools = { 0 };
	size_t i;

	if (state_db(st, &s.db, err) || pools_load(st, &pools, err))
		return -1;
	for (i = 0; i < pools.n; i++) {
		s.pool = &pools.v[i];
		if (sweep_pool(&s, err))
			return -1;
	}
	return 0;
}
