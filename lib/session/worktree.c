#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/session/repo.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* ---- rows ---- */

static void
tree_release(struct tree *t)
{
	char *const all[] = { t->session, t->name, t->repo, t->hash, t->base,
		t->base_commit, t->branch, t->dir, t->state, t->pushed,
		t->pushed_branch, t->request, t->door, t->git };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		free(all[i]);
}

void
trees_release(struct trees *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		tree_release(&t->v[i]);
	free(t->v);
	*t = TREES_INIT;
}

static void
fill(struct state *st, const struct db_rows *r, struct tree *t)
{
	char **const all[] = { &t->session, &t->name, &t->repo, &t->hash,
		&t->base, &t->base_commit, &t->branch, &t->dir, &t->state,
		&t->pushed, &t->pushed_branch, &t->request, &t->git };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		*all[i] = xstrdup_null(db_text(r, (int)i));
	t->door = xasprintf("%s/session/%s/door%s%s", state_path(st),
		t->session, *t->name ? "/" : "", t->name);
}

static const char sql_load[] =
	"SELECT session, name, repo, hash, base, base_commit, branch, dir, "
	"state, pushed, pushed_branch, request, git FROM worktree "
	"WHERE ?1 IS NULL OR session = ?1 ORDER BY session, name";

int
trees_load(struct state *st, const char *id, struct trees *ret,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	struct trees t = TREES_INIT;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &r, sql_load, err, DB_S(id)))
		return -1;
	while ((rc = db_next(r, err)) == 1) {
		t.v = xreallocarray(t.v, t.n + 1, sizeof(*t.v));
		t.v[t.n] = (struct tree){ 0 };
		fill(st, r, &t.v[t.n++]);
	}
	if (rc < 0) {
		trees_release(&t);
		return -1;
	}
	*ret = t;
	return 0;
}

int
trees_need(struct state *st, const struct session *s, struct trees *ret,
	struct err *err)
{
	size_t i;

	if (!s->repo)
		return err_set(err, ERR_NOTFOUND,
			"session '%s' has no repository: it was started "
			"without --repo", s->id);
	if (trees_load(st, s->id, ret, err))
		return -1;
	for (i = 0; i < ret->n; i++)
		if (strcmp(ret->v[i].state, "ready") != 0)
			break;
	if (ret->n && i == ret->n)
		return 0;
	trees_release(ret);
	return err_set(err, ERR_NOTFOUND,
		"session '%s' has no worktree%s", s->id,
		i ? ": it is being made, or removed" :
		    ": it was not begun, or gc has removed it");
}

static const char sql_each[] =
	"SELECT json_object('session', session, 'name', name, 'repo', repo, "
	"'git', git, 'base', base, 'base_commit', base_commit, "
	"'branch', branch, 'dir', dir, 'state', state, 'pushed', pushed, "
	"'request', request) FROM worktree "
	"WHERE ?1 IS NULL OR session = ?1 ORDER BY session, name";

int
worktree_each(struct state *st, const char *id,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	return rows_each(db, sql_each,
		(const struct db_value[]){ DB_S(id), DB_LAST }, emit, arg, err);
}

int
session_note(struct state *st, const char *kind, const char *id,
	struct json *data, const char *sql, const struct db_value *values,
	struct err *err)
{
	struct db *db;

	if (state_db(st, &db, err)) {
		json_free(data);
		return -1;
	}
	return event_change(db, kind, id, data, sql, values, err);
}

/* ---- who ---- */

int
session_identity(struct state *st, const struct session *s,
	struct identity *ret, struct err *err)
{
	if (s->identity)
		return identity_get(st, s->identity, ret, err);
	*ret = (struct identity){ .author_name = xstrdup("forge"),
		.author_email = xstrdup("forge@localhost") };
	return 0;
}

int
session_quiet(const struct session *s, struct err *err)
{
	if (session_over(s->state) || s->state == SESSION_IDLE)
		return 0;
	return err_set(err, ERR_BUSY,
		"session '%s' is %s: 'forge-session interrupt %s' ends its "
		"turn", s->id, session_state_name(s->state), s->id);
}

int
worktree_env(struct state *st, const struct session *s, struct argv *ret,
	struct err *err)
{
	static const char *const fixed[] = { "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=core.hooksPath",
		"GIT_CONFIG_VALUE_0=/dev/null", "GIT_CONFIG_KEY_1=gc.auto",
		"GIT_CONFIG_VALUE_1=0", NULL };
	static const char *const who[] = { "AUTHOR", "COMMITTER" };
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	size_t i;

	if (!s->repo)
		return 0;
	if (session_identity(st, s, &id, err))
		return -1;
	argv_pushv(ret, fixed);
	for (i = 0; i < ARRAY_SIZE(who); i++) {
		argv_pushf(ret, "GIT_%s_NAME=%s", who[i], id.author_name);
		argv_pushf(ret, "GIT_%s_EMAIL=%s", who[i], id.author_email);
	}
	return 0;
}
