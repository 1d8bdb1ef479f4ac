#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

int
tree_open(const struct tree *t, git_repository **ret, struct err *err)
{
	return git2_open(t->door, t->dir, ret, err);
}

int
tree_head(git_repository *repo, char **ret_ref, git_commit **ret_commit,
	struct err *err)
{
	GIT2(git_reference) *head = NULL;
	git_oid id;
	int rc;

	if (git_reference_lookup(&head, repo, "HEAD"))
		return git2_failed(err, "HEAD of '%s'",
			git_repository_workdir(repo));
	rc = git_reference_name_to_id(&id, repo, "HEAD");
	if (rc && rc != GIT_ENOTFOUND)
		return git2_failed(err, "HEAD of '%s'",
			git_repository_workdir(repo));
	*ret_commit = NULL;
	if (!rc && git_commit_lookup(ret_commit, repo, &id))
		return git2_failed(err, "HEAD of '%s'",
			git_repository_workdir(repo));
	*ret_ref = git_reference_type(head) == GIT_REFERENCE_SYMBOLIC ?
		xstrdup(git_reference_symbolic_target(head)) : NULL;
	return 0;
}

/* What is tracked is kept though it be ignored: HEAD's files come first. */
static int
start_index(git_repository *repo, git_index *index, struct err *err)
{
	GIT2(git_commit) *head = NULL;
	GIT2(git_tree) *tree = NULL;
	CLEANUP_FREE char *ref = NULL;

	if (tree_head(repo, &ref, &head, err))
		return -1;
	if (head ? git_commit_tree(&tree, head) ||
			git_index_read_tree(index, tree) :
		   git_index_clear(index))
		return git2_failed(err, "'%s'", git_repository_workdir(repo));
	return 0;
}

int
tree_write(git_repository *repo, git_oid *ret_tree, struct err *err)
{
	GIT2(git_index) *index = NULL;

	if (git_repository_index(&index, repo))
		return git2_failed(err, "'%s'", git_repository_workdir(repo));
	if (start_index(repo, index, err))
		return -1;
	if (git_index_add_all(index, NULL, GIT_INDEX_ADD_DEFAULT, NULL, NULL) ||
		git_index_write(index) || git_index_write_tree(ret_tree, index))
		return git2_failed(err, "cannot read the files in '%s'",
			git_repository_workdir(repo));
	return 0;
}

int
tree_write_index(const struct tree *t, git_repository *repo,
	const git_tree *tree, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/index", t->git);
	GIT2(git_index) *index = NULL;

	(void)repo;
	if (git_index_open(&index, path) ||
		(tree ? git_index_read_tree(index, tree) :
			git_index_clear(index)) ||
		git_index_write(index))
		return git2_failed(err, "'%s'", path);
	return 0;
}

int
tree_dirty(git_repository *repo, struct err *err)
{
	GIT2(git_commit) *head = NULL;
	CLEANUP_FREE char *ref = NULL;
	GIT2(git_index) *index = NULL;
	git_oid id;

	if (tree_write(repo, &id, err) || tree_head(repo, &ref, &head, err))
		return -1;
	if (head)
		return !git_oid_equal(&id, git_commit_tree_id(head));
	if (git_repository_index(&index, repo))
		return git2_failed(err, "'%s'", git_repository_workdir(repo));
	return git_index_entrycount(index) != 0;
}

char *
snapshot_ref(const struct tree *t, const char *what)
{
	return xasprintf("refs/forge/snapshots/%s/%s%s%s", t->session, what,
		*t->name ? "/" : "", t->name);
}

static int
commit_tree(git_repository *repo, const struct tree *t, const char *what,
	const char *message, int again, git_oid *ret, struct err *err)
{
	CLEANUP_FREE char *ref = NULL, *name = snapshot_ref(t, what);
	GIT2(git_reference) *made = NULL;
	GIT2(git_signature) *who = NULL;
	GIT2(git_commit) *head = NULL;
	GIT2(git_tree) *tree = NULL;
	const git_commit *parents[1];
	git_oid id;
	int rc;

	if (tree_write(repo, &id, err) || tree_head(repo, &ref, &head, err))
		return -1;
	parents[0] = head;
	if (git_tree_lookup(&tree, repo, &id) ||
		git_signature_now(&who, "forge", "forge@localhost") ||
		git_commit_create(ret, repo, NULL, who, who, NULL, message,
			tree, head ? 1 : 0, parents))
		return git2_failed(err, "'%s'", name);
	rc = git_reference_create(&made, repo, name, ret, again, NULL);
	/* A turn that is begun again has its snapshot of the first time. */
	if (rc == GIT_EEXISTS)
		rc = git_reference_name_to_id(ret, repo, name);
	return rc ? git2_failed(err, "'%s'", name) : 0;
}

int
snapshot_take(const struct tree *t, const char *what, const char *message,
	bool again, git_oid *ret, struct err *err)
{
	GIT2(git_repository) *repo = NULL;

	if (tree_open(t, &repo, err))
		return -1;
	return commit_tree(repo, t, what, message, again, ret, err);
}

int
worktree_snapshot(struct state *st, const struct session *s, int64_t turn,
	struct json **ret, struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	CLEANUP_FREE char *what = xasprintf("%lld", (long long)turn);
	CLEANUP_FREE char *message = xasprintf("snapshot before turn %lld\n",
		(long long)turn);
	struct json *commits = json_array();
	char hex[GIT_OID_HEXSZ + 1];
	git_oid id;
	size_t i;
	int rc = trees_need(st, s, &t, err);

	for (i = 0; !rc && i < t.n; i++) {
		rc = snapshot_take(&t.v[i], what, message, false, &id,
			err);
		if (!rc)
			json_push_str(commits,
				git_oid_tostr(hex, sizeof(hex), &id));
	}
	if (rc || !ret) {
		json_free(commits);
		return rc;
	}
	*ret = json_object();
	json_put_int(*ret, "turn", turn);
	json_put(*ret, "commits", commits);
	return 0;
}
