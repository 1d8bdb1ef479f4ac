#include "lib/session/worktree_guest.h"

#include <fcntl.h>
#include <git2/sys/odb_backend.h>
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
	/* A branch that is checked out is none that git fetches into. */
	if (skeleton(dir, err) || fetch(st, t, dir, repo, ref, err) ||
		admin(t, dir, ref, err))
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

/*
 * Not as a bundle: git before 2.45 has no checks for those.  A pack that does
 * not pass is in no repository afterwards.  *ret: the pack's index.
 */
static int
index_pack(struct state *st, const struct tree *t, const struct buf *pack,
	char **ret, struct err *err)
{
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	CLEANUP_FREE char *door = repo_door(st, t->hash);
	CLEANUP_FREE char *path = repo_path(st, t->hash);
	const struct repo_git g = { .st = st, .door = door, .input = pack };
	const char *name;

	argv_pushv(&a, (const char *[]){ "index-pack", "--strict", "--stdin",
			       NULL });
	if (repo_git(&g, &a, &out, err)) {
		err->code = ERR_INVALID;
		return err_wrap(err, "the agent's commits");
	}
	buf_rtrim(&out);
	name = strrchr(out.s, '\t');
	*ret = xasprintf("%s/objects/pack/pack-%s.idx", path,
		name ? name + 1 : "");
	return 0;
}

static int
not_its_own(const struct guest_commits *c, struct err *err)
{
	return err_set(err, ERR_INVALID,
		"the agent's commits: '%.40s' is not its own", c->head);
}

static bool
hide(git_repository *repo, git_revwalk *walk, const char *ref)
{
	git_oid id;

	return git_reference_name_to_id(&id, repo, ref) ||
		!git_revwalk_hide(walk, &id);
}

static int
walk_new(const struct tree *t, git_repository *repo,
	const struct guest_commits *c, const git_oid *head, git_revwalk **ret)
{
	CLEANUP_FREE char *base = xasprintf("refs/remotes/origin/%s",
		t->base ? t->base : "none");
	git_oid known;

	return git_revwalk_new(ret, repo) || git_revwalk_push(*ret, head) ||
			!hide(repo, *ret, base) ||
			(c->known && (git_oid_fromstr(&known, c->known) ||
					     git_revwalk_hide(*ret, &known))) ?
		-1 :
		0;
}

static int
open_pack(const char *idx, git_odb **ret)
{
	git_odb_backend *backend = NULL;

	return git_odb_new(ret) || git_odb_backend_one_pack(&backend, idx) ||
			git_odb_add_backend(*ret, backend, 1) ?
		-1 :
		0;
}

/* Each commit that is new to us came in that pack. */
static int
check_new(const struct tree *t, git_repository *repo,
	const struct guest_commits *c, const git_oid *head, const char *idx,
	struct err *err)
{
	GIT2(git_revwalk) *walk = NULL;
	GIT2(git_odb) *odb = NULL;
	git_oid id;
	bool own = true;

	if (walk_new(t, repo, c, head, &walk) ||
		(idx && open_pack(idx, &odb))) {
		(void)git2_failed(err, "the agent's commits");
		err->code = ERR_INVALID;
		return -1;
	}
	while (own && !git_revwalk_next(&id, walk))
		own = odb && git_odb_exists(odb, &id);
	return own ? 0 : not_its_own(c, err);
}

/* The commit that the branch is to be at. */
static int
bring(struct state *st, const struct tree *t, git_repository *repo,
	const struct guest_commits *c, git_commit **ret, struct err *err)
{
	CLEANUP_FREE char *idx = NULL;
	git_oid id;

	if (c->pack->len && index_pack(st, t, c->pack, &idx, err))
		return -1;
	if (git_oid_fromstr(&id, c->head) ||
		git_commit_lookup(ret, repo, &id))
		return not_its_own(c, err);
	return check_new(t, repo, c, &id, idx, err);
}

/* Is HEAD where the place began from? */
static bool
unmoved(const struct guest_commits *c, const git_commit *now)
{
	git_oid known;

	if (!c->known || !now)
		return !c->known && !now;
	return !git_oid_fromstr(&known, c->known) &&
		git_oid_equal(&known, git_commit_id(now));
}

static int
move(const struct tree *t, git_repository *repo, const char *ref,
	const git_commit *to, struct err *err)
{
	GIT2(git_reference) *made = NULL;

	return git_reference_create(&made, repo, ref, git_commit_id(to), 1,
		       NULL) ?
		git2_failed(err, "'%s' of '%s'", ref, t->repo) :
		0;
}

int
guest_repo_take(struct state *st, const struct tree *t,
	const struct guest_commits *c, struct err *err)
{
	CLEANUP_FREE char *kept = snapshot_ref(t, "place"), *ref = NULL;
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *now = NULL;
	GIT2(git_commit) *came = NULL;
	GIT2(git_tree) *tree = NULL;

	if (tree_open(t, &repo, err) || bring(st, t, repo, c, &came, err) ||
		tree_head(repo, &ref, &now, err))
		return -1;
	if (git_commit_tree(&tree, came))
		return git2_failed(err, "the agent's commits");
	/* Done before, and we were killed behind it? */
	if (now && git_oid_equal(git_commit_id(now), git_commit_id(came)))
		return tree_write_index(t, repo, tree, err);
	if (ref && unmoved(c, now))
		return move(t, repo, ref, came, err) ||
				tree_write_index(t, repo, tree, err) ?
			-1 :
			0;
	if (move(t, repo, kept, came, err))
		return -1;
	return err_set(err, ERR_BUSY,
		"branch '%s' was moved here meanwhile: what the agent "
		"committed is '%s'", t->branch, kept);
}
