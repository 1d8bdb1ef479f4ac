#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

static int
find(git_repository *repo, const struct tree *t, const char *turn,
	git_commit **ret, struct err *err)
{
	CLEANUP_FREE char *name = snapshot_ref(t, turn);
	git_oid id;

	if (git_reference_name_to_id(&id, repo, name))
		return err_set(err, ERR_NOTFOUND,
			"session '%s' has no snapshot of turn %s", t->session,
			turn);
	return git_commit_lookup(ret, repo, &id) ?
		git2_failed(err, "'%s'", name) : 0;
}

/* The branch is where it was when the snapshot was taken. */
static int
move_back(git_repository *repo, const git_commit *snapshot, struct err *err)
{
	GIT2(git_reference) *made = NULL;
	GIT2(git_commit) *head = NULL;
	CLEANUP_FREE char *ref = NULL;

	if (tree_head(repo, &ref, &head, err))
		return -1;
	if (!ref || !git_commit_parentcount(snapshot))
		return 0;
	return git_reference_create(&made, repo, ref,
		       git_commit_parent_id(snapshot, 0), 1, NULL) ?
		git2_failed(err, "'%s'", ref) : 0;
}

static int
parent_tree(const git_commit *snapshot, git_tree **ret, struct err *err)
{
	GIT2(git_commit) *parent = NULL;

	if (!git_commit_parentcount(snapshot))
		return 0;
	return git_commit_parent(&parent, snapshot, 0) ||
			git_commit_tree(ret, parent) ?
		git2_failed(err, "snapshot") : 0;
}

/*
 * Files first: killed after them, the branch still has what was committed,
 * and a second revert does the rest.
 */
static int
revert_one(const struct tree *t, const char *turn, struct err *err)
{
	git_checkout_options o;
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *snapshot = NULL;
	GIT2(git_tree) *index = NULL;
	git_oid undo;

	if (tree_open(t, &repo, err) || find(repo, t, turn, &snapshot, err) ||
		snapshot_take(t, "undo", "before a revert\n", true, &undo, err))
		return -1;
	(void)git_checkout_options_init(&o, GIT_CHECKOUT_OPTIONS_VERSION);
	o.checkout_strategy = GIT_CHECKOUT_FORCE |
		GIT_CHECKOUT_REMOVE_UNTRACKED;
	if (git_checkout_tree(repo, (const git_object *)snapshot, &o))
		return git2_failed(err, "'%s'", t->dir);
	return move_back(repo, snapshot, err) ||
			parent_tree(snapshot, &index, err) ||
			tree_write_index(t, repo, index, err) ?
		-1 :
		0;
}

int
worktree_revert(struct state *st, const struct session *s, int64_t turn,
	struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	CLEANUP_FREE char *name = NULL;
	struct json *data;
	size_t i;

	if (session_quiet(s, err) || trees_need(st, s, &t, err))
		return -1;
	name = xasprintf("%lld", (long long)(turn ? turn : s->turns));
	/* All have it, before one is changed. */
	for (i = 0; i < t.n; i++) {
		GIT2(git_repository) *repo = NULL;
		GIT2(git_commit) *snapshot = NULL;

		if (tree_open(&t.v[i], &repo, err) ||
			find(repo, &t.v[i], name, &snapshot, err))
			return -1;
	}
	for (i = 0; i < t.n; i++)
		if (revert_one(&t.v[i], name, err))
			return -1;
	data = json_object();
	json_put_int(data, "turn", turn ? turn : s->turns);
	return session_note(st, "session.reverted", s->id, data,
		"UPDATE worktree SET state = state WHERE session = ?",
		(const struct db_value[]){ DB_S(s->id), DB_LAST }, err);
}
