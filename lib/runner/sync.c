#include "lib/runner/sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/runner/adopt.h"
#include "lib/runner/github.h"
#include "lib/runner/pool.h"
#include "lib/runner/runner.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

struct sync {
	struct state *st;
	struct db *db;
	int dry;
	tell_fn *told;
};

static int
names(struct db *db, const char *sql, struct argv *ret, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

static bool
adopt(struct sync *s, const char *name)
{
	struct err why = ERR_INIT;
	bool good = !runner_adopt(s->st, name, &why);

	if (good)
		tell_line(s->told, "runner '%s': it has another one", name);
	else
		tell_line(s->told, "runner '%s': not taken over: %s",
			name, why.msg);
	return good;
}

/*
 * Taking the lock ourselves keeps a second sync, and the very unlikely new
 * runner of that name, away while the row is changed.
 */
static int
bury(struct sync *s, const char *name, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	struct err one = ERR_INIT;
	bool goes_on;

	if (state_lock(s->st, "runner", name, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT;
		return 0; /* alive */
	}
	tell_line(s->told, "runner '%s': its supervisor is dead", name);
	if (s->dry)
		return 0;
	if (runner_adoptable(s->db, name, &goes_on, err))
		return -1;
	if (goes_on) {
		cleanup_close(&lock); /* the other one's */
		lock = -1;
		if (adopt(s, name) ||
			state_lock(s->st, "runner", name, 0, 0, &lock, &one))
			return 0;
	}
	if (runner_done(s->db, name, RUNNER_LOST, "its supervisor died", err)) {
		/* BUSY: done meanwhile, between our query and our lock. */
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT;
	}
	return 0;
}

static int
bury_dead(struct sync *s, struct err *err)
{
	CLEANUP_ARGV struct argv open = ARGV_INIT;
	size_t i;

	if (names(s->db, "SELECT name FROM runner WHERE state <> 'done'",
		    &open, err))
		return -1;
	for (i = 0; i < open.n; i++)
		if (bury(s, open.v[i], err))
			return -1;
	return 0;
}

int
runner_unregister(struct github *gh, const struct runner *r, struct err *err)
{
	struct github_runner at;

	if (r->github_id)
		return github_runner_remove(gh, r->scope, r->github_id, err);
	if (!github_runner_find(gh, r->scope, r->name, &at, err))
		return github_runner_remove(gh, r->scope, at.id, err);
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 0;
}

int
runner_github(struct state *st, const struct runner *r, struct github **ret,
	struct err *err)
{
	CLEANUP_POOL struct pool pool = POOL_INIT;

	if (r->pool && pool_load(st, r->pool, &pool, err)) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT; /* the pool is gone from the configuration */
	}
	return github_open(st, pool.github, ret, err);
}

static int
remove_one(struct sync *s, const char *name, struct err *err)
{
	CLEANUP_RUNNER struct runner r = RUNNER_INIT;
	CLEANUP_GITHUB struct github *gh = NULL;

	if (runner_get(s->db, name, &r, err) ||
		runner_github(s->st, &r, &gh, err) ||
		runner_unregister(gh, &r, err))
		return -1;
	return runner_removed(s->db, name, err);
}

static int
remove_ghosts(struct sync *s, struct err *err)
{
	CLEANUP_ARGV struct argv ghosts = ARGV_INIT;
	size_t i;

	if (names(s->db,
		    "SELECT name FROM runner WHERE registered = 1 AND "
		    "state = 'done'",
		    &ghosts, err))
		return -1;
	for (i = 0; i < ghosts.n; i++) {
		struct err one = ERR_INIT;

		if (s->dry)
			tell_line(s->told,
				"runner '%s': may still be at GitHub",
				ghosts.v[i]);
		else if (remove_one(s, ghosts.v[i], &one))
			tell_line(s->told,
				"runner '%s': not removed at GitHub: %s",
				ghosts.v[i], one.msg);
		else
			tell_line(s->told, "runner '%s': removed at GitHub",
				ghosts.v[i]);
	}
	return 0;
}

int
runner_sync(struct state *st, int dry, tell_fn *told, struct err *err)
{
	struct sync s = { .st = st, .dry = dry, .told = told };

	if (state_db(st, &s.db, err) || bury_dead(&s, err))
		return -1;
	return remove_ghosts(&s, err);
}
