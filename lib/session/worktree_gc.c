#include "lib/session/worktree_gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/repo.h"
#include "lib/session/worktree_internal.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* ---- is it somewhere else too? ---- */

static bool
at_origin(git_repository *repo, const git_oid *id)
{
	GIT2(git_reference_iterator) *it = NULL;

	if (git_reference_iterator_glob_new(&it, repo, "refs/remotes/origin/*"))
		return false;
	for (;;) {
		GIT2(git_reference) *ref = NULL;
		const git_oid *tip;

		if (git_reference_next(&ref, it))
			return false;
		tip = git_reference_target(ref);
		if (tip && (git_oid_equal(tip, id) ||
				   git_graph_descendant_of(repo, tip, id) == 1))
			return true;
	}
}

static bool
is_hex(const char *hex, const git_oid *id)
{
	git_oid other;

	return hex && !git_oid_fromstr(&other, hex) &&
		git_oid_equal(&other, id);
}

/* What ref is: nothing, or commits that others have. */
static bool
is_kept(git_repository *repo, const struct tree *t, const char *ref)
{
	git_oid id;

	return git_reference_name_to_id(&id, repo, ref) ||
		is_hex(t->base_commit, &id) || is_hex(t->pushed, &id) ||
		at_origin(repo, &id);
}

/* *ret_why stays NULL when nothing would be lost. */
static int
why_not(const struct tree *t, const char **ret_why, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	CLEANUP_FREE char *branch = xasprintf("refs/heads/%s", t->branch);
	CLEANUP_FREE char *config = xasprintf("%s/config", t->door);
	int dirty;

	if (!t->hash || !strcmp(t->state, "removing") ||
		!fs_exists(AT_FDCWD, config) || !fs_exists(AT_FDCWD, t->dir))
		return 0;
	if (tree_open(t, &repo, err))
		return -1;
	if (strcmp(t->state, "ready") != 0)
		return 0; /* no agent was ever there */
	dirty = tree_dirty(repo, err);
	if (dirty < 0)
		return -1;
	if (dirty)
		*ret_why = "it has changes that are in no commit";
	else if (!is_kept(repo, t, "HEAD") || !is_kept(repo, t, branch))
		*ret_why = "it has commits that were not pushed";
	return 0;
}

/* ---- the bundle ---- */

static int
on_disk(const char *path, struct err *err)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || fsync(fd) ? err_sys(err, "'%s'", path) : 0;
}

static int
git_bundle(struct state *st, const struct tree *t, const char *const *refs,
	const char *path, struct err *err)
{
	CLEANUP_FREE char *door = repo_door(st, t->hash);
	struct repo_git g = { .st = st, .door = door };
	CLEANUP_ARGV struct argv make = ARGV_INIT, verify = ARGV_INIT;

	argv_split(&make, "bundle create --quiet");
	argv_push(&make, path);
	argv_pushv(&make, refs);
	if (t->base_commit)
		argv_pushf(&make, "^%s", t->base_commit);
	argv_split(&verify, "bundle verify --quiet");
	argv_push(&verify, path);
	return repo_git(&g, &make, NULL, err) ||
			repo_git(&g, &verify, NULL, err) ?
		-1 :
		0;
}

/* Files as a commit of their own beside the branch, both in one file. */
static int
bundle(struct state *st, const struct tree *t, char **ret_path,
	struct err *err)
{
	CLEANUP_FREE char *snapshot = snapshot_ref(t, "gc");
	CLEANUP_FREE char *branch = xasprintf("refs/heads/%s", t->branch);
	CLEANUP_FREE char *path = xasprintf("%s/bundle/%s%s%s-%lld.bundle",
		state_path(st), t->session, *t->name ? "-" : "", t->name,
		(long long)clock_wall());
	GIT2(git_repository) *repo = NULL;
	const char *refs[3] = { snapshot, NULL, NULL };
	struct json *data;
	git_oid id;

	if (fs_mkdirs(state_dir(st), "bundle", 0700, err) ||
		snapshot_take(t, "gc", "before it was removed\n", true, &id,
			err) ||
		tree_open(t, &repo, err))
		return -1;
	if (!git_reference_name_to_id(&id, repo, branch) &&
		!is_hex(t->base_commit, &id))
		refs[1] = branch;
	if (git_bundle(st, t, refs, path, err) || on_disk(path, err) ||
		fs_sync_dir(state_dir(st), "bundle", err))
		return -1;
	data = json_object();
	json_put_str(data, "repo", t->repo);
	json_put_str(data, "path", path);
	*ret_path = steal_ptr(&path);
	return session_note(st, "session.bundled", t->session, data,
		"UPDATE worktree SET state = state WHERE session = ? "
		"AND name = ?", (const struct db_value[]){ DB_S(t->session),
			DB_S(t->name), DB_LAST }, err);
}

/* ---- away ---- */

static int
drop_refs(git_repository *repo, const char *glob, struct err *err)
{
	GIT2(git_reference_iterator) *it = NULL;
	int rc;

	if (git_reference_iterator_glob_new(&it, repo, glob))
		return git2_failed(err, "'%s'", glob);
	for (;;) {
		GIT2(git_reference) *ref = NULL;

		rc = git_reference_next(&ref, it);
		if (rc)
			break;
		if (git_reference_delete(ref))
			return git2_failed(err, "'%s'", git_reference_name(ref));
	}
	return rc == GIT_ITEROVER ? 0 : git2_failed(err, "'%s'", glob);
}

static int
drop_all_refs(const struct tree *t, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_reference) *ref = NULL;
	CLEANUP_FREE char *snapshots = xasprintf("refs/forge/snapshots/%s/*",
		t->session);
	CLEANUP_FREE char *branch = xasprintf("refs/heads/%s", t->branch);
	CLEANUP_FREE char *config = xasprintf("%s/config", t->door);

	if (!fs_exists(AT_FDCWD, config))
		return 0;
	if (git2_open(t->door, NULL, &repo, err) ||
		drop_refs(repo, snapshots, err))
		return -1;
	/* The branch of a checkout of the user's is the user's. */
	if (t->hash && !git_reference_lookup(&ref, repo, branch) &&
		git_reference_delete(ref))
		return git2_failed(err, "'%s'", branch);
	return 0;
}

static int
change(struct state *st, const struct tree *t, const char *sql,
	struct err *err)
{
	struct db *db;

	return state_db(st, &db, err) || db_run(db, sql, NULL, err,
			DB_S(t->session), DB_S(t->name)) ? -1 : 0;
}

/*
 * The row says 'removing' first: whatever a kill leaves of the rest, the
 * next gc goes on.
 */
static int
take_away(struct state *st, const struct tree *t, struct err *err)
{
	struct json *data;

	if (change(st, t, "UPDATE worktree SET state = 'removing' "
			  "WHERE session = ? AND name = ?", err) ||
		drop_all_refs(t, err) ||
		(t->hash && fs_remove_tree(AT_FDCWD, t->dir, err)) ||
		(t->hash && fs_remove_tree(AT_FDCWD, t->git, err)) ||
		fs_remove_tree(AT_FDCWD, t->door, err))
		return -1;
	data = json_object();
	json_put_str(data, "repo", t->repo);
	return session_note(st, "session.cleaned", t->session, data,
		"DELETE FROM worktree WHERE session = ? AND name = ?",
		(const struct db_value[]){ DB_S(t->session), DB_S(t->name),
			DB_LAST }, err);
}

static int
gc_one(struct state *st, const struct tree *t, unsigned flags,
	struct json *row, struct err *err)
{
	CLEANUP_FREE char *path = NULL;
	const char *why = NULL;
	bool away;

	if (why_not(t, &why, err))
		return -1;
	away = !why || (flags & GC_BUNDLE);
	json_put_str(row, "session", t->session);
	json_put_str(row, "name", t->name);
	json_put_str(row, "repo", t->repo);
	json_put_bool(row, "removed", away);
	json_put_str(row, "why", why);
	if (away && !(flags & GC_DRY_RUN) &&
		((why && bundle(st, t, &path, err)) || take_away(st, t, err)))
		return -1;
	json_put_str(row, "bundle", path);
	return 0;
}

/* 1 it is over, and *ret_lock keeps it so; 0 it lives. */
static int
is_over(struct state *st, const char *id, int *ret_lock, struct err *err)
{
	struct err why = ERR_INIT;
	struct db *db;
	int64_t live;

	if (state_lock(st, "session", id, 0, 0, ret_lock, &why)) {
		if (why.code == ERR_BUSY)
			return 0;
		*err = why;
		return -1;
	}
	if (state_db(st, &db, err) ||
		db_get_int(db, &live,
			"SELECT count(*) FROM session WHERE id = ? AND state "
			"IN ('pending', 'running', 'waiting', 'idle', "
			"'limited')", err, DB_S(id)))
		return -1;
	return !live;
}

int
worktree_gc(struct state *st, const char *id, unsigned flags,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	size_t i;

	if (trees_load(st, id, &t, err))
		return -1;
	for (i = 0; i < t.n; i++) {
		CLEANUP_CLOSE int lock = -1;
		struct json *row;
		int rc = is_over(st, t.v[i].session, &lock, err);

		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		row = json_object();
		if (gc_one(st, &t.v[i], flags, row, err)) {
			json_free(row);
			return -1;
		}
		if (!emit)
			json_free(row);
		else if (emit(row, arg))
			return -1;
	}
	return 0;
}

/* ---- before rm ---- */

static int
first_why(struct json *row, void *arg)
{
	char **why = arg;

	if (!*why && !json_bool(row, "removed", true))
		*why = xstrdup(json_str(row, "why", ""));
	json_free(row);
	return 0;
}

int
worktree_forget(struct state *st, const char *id, struct err *err)
{
	CLEANUP_FREE char *why = NULL;

	/* All may go, before one goes. */
	if (worktree_gc(st, id, GC_DRY_RUN, first_why, &why, err))
		return -1;
	if (why)
		return err_set(err, ERR_BUSY,
			"session '%s' stays: %s; 'forge-session push %s', or "
			"'forge-session gc --bundle %s' to keep them in a file",
			id, why, id, id);
	return worktree_gc(st, id, 0, NULL, NULL, err);
}
