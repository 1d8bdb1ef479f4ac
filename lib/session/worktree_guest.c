#include "lib/session/worktree_guest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/repo.h"
#include "lib/session/worktree_internal.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { INDEX_MAX = 1 << 30 };

/* ---- to the place ---- */

static const char config[] = "[core]\n"
			     "\trepositoryformatversion = 0\n"
			     "\tbare = true\n";

static int
put(const char *dir, const char *name, const char *text, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

	return fs_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
}

static int
skeleton(const char *dir, struct err *err)
{
	static const char *const dirs[] = { "objects/info", "objects/pack",
		"refs/heads", "refs/remotes/origin", "worktrees" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", dir, dirs[i]);

		if (fs_mkdirs(AT_FDCWD, path, 0700, err))
			return -1;
	}
	return put(dir, "config", config, err) ||
			put(dir, "HEAD", "ref: refs/heads/none\n", err) ?
		-1 :
		0;
}

/* The directory with HEAD and index: worktrees/ID, as it is called here. */
static int
admin(const struct tree *t, const char *dir, const char *ref, struct err *err)
{
	const char *name = strrchr(t->git, '/') + 1;
	CLEANUP_FREE char *to = xasprintf("%s/worktrees/%s", dir, name);
	CLEANUP_FREE char *head = xasprintf("ref: %s\n", ref);
	CLEANUP_FREE char *gitdir = xasprintf("%s/.git\n", t->dir);
	CLEANUP_FREE char *from = xasprintf("%s/index", t->git);
	CLEANUP_FREE char *index = xasprintf("%s/index", to);
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (fs_mkdirs(AT_FDCWD, to, 0700, err) ||
		put(to, "HEAD", head, err) ||
		put(to, "commondir", "../..\n", err) ||
		put(to, "gitdir", gitdir, err))
		return -1;
	if (!fs_exists(AT_FDCWD, from))
		return 0;
	return fs_read(AT_FDCWD, from, INDEX_MAX, &b, err) ||
			fs_replace(AT_FDCWD, index, b.s, b.len, 0600, err) ?
		-1 :
		0;
}

static bool
has_ref(git_repository *repo, const char *ref)
{
	git_oid id;

	return !git_reference_name_to_id(&id, repo, ref);
}

static int
fetch(struct state *st, const struct tree *t, const char *dir,
	git_repository *repo, const char *ref, struct err *err)
{
	static const char *const words[] = { "fetch", "--quiet", "--no-tags",
		"--no-recurse-submodules", "--no-write-fetch-head",
		"--no-auto-maintenance", "--upload-pack=git-upload-pack", "--",
		NULL };
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_FREE char *door = repo_door(st, t->hash);
	CLEANUP_FREE char *base = xasprintf("refs/remotes/origin/%s",
		t->base ? t->base : "none");
	const struct repo_git g = { .st = st, .door = dir };
	size_t n;

	argv_pushv(&a, words);
	argv_push(&a, door);
	n = a.n;
	if (has_ref(repo, ref))
		argv_pushf(&a, "+%s:%s", ref, ref);
	if (has_ref(repo, base))
		argv_pushf(&a, "+%s:%s", base, base);
	return a.n > n ? repo_git(&g, &a, NULL, err) : 0;
}

int
guest_repo_make(struct state *st, const struct tree *t, const char *dir,
	char **known, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *head = NULL;
	CLEANUP_FREE char *ref = NULL;
	char hex[GIT_OID_HEXSZ + 1];

	*known = NULL;
	if (tree_open(t, &repo, err) || tree_head(repo, &ref, &head, err))
		return -1;
	if (!ref)
		ref = xasprintf("refs/heads/%s", t->branch);
	if (skeleton(dir, err) || admin(t, dir, ref, err) ||
		fetch(st, t, dir, repo, ref, err))
		return -1;
	if (head)
		*known = xstrdup(git_oid_tostr(hex, sizeof(hex),
			git_commit_id(head)));
	return 0;
}

int
guest_repo_mark(const struct tree *t, struct buf *ret, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *head = NULL;
	CLEANUP_FREE char *ref = NULL;
	char hex[GIT_OID_HEXSZ + 1];
	git_oid tree;

	if (tree_open(t, &repo, err) || tree_head(repo, &ref, &head, err) ||
		tree_write(repo, &tree, err))
		return -1;
	buf_addf(ret, "%s ", ref ? ref : "");
	buf_addf(ret, "%s ", head ? git_oid_tostr(hex, sizeof(hex),
				     git_commit_id(head)) : "");
	buf_addf(ret, "%s\n", git_oid_tostr(hex, sizeof(hex), &tree));
	return 0;
}

/* ---- from there ---- */

static int
unbundle(struct state *st, const struct tree *t, const char *bundle,
	const char *ref, struct err *err)
{
	static const char *const words[] = { "-c", "transfer.fsckObjects=true",
		"fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
		"--no-write-fetch-head", "--no-auto-maintenance", "--", NULL };
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_FREE char *door = repo_door(st, t->hash);
	const struct repo_git g = { .st = st, .door = door };

	argv_pushv(&a, words);
	argv_push(&a, bundle);
	argv_pushf(&a, "+HEAD:%s", ref);
	if (!repo_git(&g, &a, NULL, err))
		return 0;
	err->code = ERR_INVALID;
	return err_wrap(err, "the agent's commits");
}

int
guest_repo_take(struct state *st, const struct tree *t, const char *bundle,
	const char *known, struct err *err)
{
	CLEANUP_FREE char *kept = snapshot_ref(t, "place"), *ref = NULL;
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *now = NULL;
	GIT2(git_commit) *came = NULL;
	GIT2(git_reference) *made = NULL;
	GIT2(git_tree) *tree = NULL;
	git_oid id, from;

	if (unbundle(st, t, bundle, kept, err) || tree_open(t, &repo, err) ||
		tree_head(repo, &ref, &now, err))
		return -1;
	if (git_reference_name_to_id(&id, repo, kept) ||
		git_commit_lookup(&came, repo, &id) ||
		git_commit_tree(&tree, came))
		return git2_failed(err, "the agent's commits");
	/* Done before, and we were killed behind it? */
	if (now && git_oid_equal(git_commit_id(now), &id))
		return tree_write_index(t, repo, tree, err);
	if (!ref || !known != !now ||
		(now && (git_oid_fromstr(&from, known) ||
				!git_oid_equal(git_commit_id(now), &from))))
		return err_set(err, ERR_BUSY,
			"branch '%s' was moved here meanwhile: what the agent "
			"committed is '%s'", t->branch, kept);
	if (git_reference_create(&made, repo, ref, &id, 1, NULL))
		return git2_failed(err, "'%s'", ref);
	return tree_write_index(t, repo, tree, err);
}
