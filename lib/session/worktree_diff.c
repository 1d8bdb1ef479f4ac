#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* Where text goes, and why it stopped. */
struct sink {
	int (*emit)(const char *s, size_t n, void *arg, struct err *err);
	void *arg;
	struct err *err;
	bool failed;
};

static int
print_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
	const git_diff_line *line, void *sink)
{
	struct sink *k = sink;
	CLEANUP_BUF struct buf b = BUF_INIT;

	(void)delta;
	(void)hunk;
	if (line->origin == GIT_DIFF_LINE_CONTEXT ||
		line->origin == GIT_DIFF_LINE_ADDITION ||
		line->origin == GIT_DIFF_LINE_DELETION)
		buf_addc(&b, line->origin);
	buf_add(&b, line->content, line->content_len);
	k->failed = k->emit(b.s, b.len, k->arg, k->err) != 0;
	return k->failed ? -1 : 0;
}

static int
print_stat(git_diff *diff, struct sink *k)
{
	GIT2(git_diff_stats) *stats = NULL;
	git_buf text = { 0 };
	int rc;

	if (git_diff_get_stats(&stats, diff) ||
		git_diff_stats_to_buf(&text, stats, GIT_DIFF_STATS_FULL, 80))
		return git2_failed(k->err, "diff");
	rc = git_diff_stats_files_changed(stats) ?
		k->emit(text.ptr, text.size, k->arg, k->err) : 0;
	git_buf_dispose(&text);
	return rc;
}

/* What its first commit is compared with; NULL of an empty repository. */
static int
base_tree(git_repository *repo, const struct tree *t, git_tree **ret,
	struct err *err)
{
	GIT2(git_commit) *commit = NULL;
	git_oid id;

	if (!t->base_commit)
		return 0;
	if (git_oid_fromstr(&id, t->base_commit) ||
		git_commit_lookup(&commit, repo, &id) ||
		git_commit_tree(ret, commit))
		return git2_failed(err, "commit '%s'", t->base_commit);
	return 0;
}

static int
diff_one(const struct tree *t, bool stat, struct sink *k)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_tree) *base = NULL;
	GIT2(git_tree) *now = NULL;
	GIT2(git_diff) *diff = NULL;
	git_diff_options o;
	CLEANUP_FREE char *old = xasprintf("a/%s%s", t->name,
		*t->name ? "/" : "");
	CLEANUP_FREE char *new = xasprintf("b/%s%s", t->name,
		*t->name ? "/" : "");
	git_oid id;

	if (tree_open(t, &repo, k->err) || base_tree(repo, t, &base, k->err) ||
		tree_write(repo, &id, k->err))
		return -1;
	(void)git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);
	o.old_prefix = old;
	o.new_prefix = new;
	o.flags |= GIT_DIFF_SHOW_BINARY;
	if (git_tree_lookup(&now, repo, &id) ||
		git_diff_tree_to_tree(&diff, repo, base, now, &o) ||
		git_diff_find_similar(diff, NULL))
		return git2_failed(k->err, "'%s'", t->dir);
	if (stat)
		return print_stat(diff, k);
	if (git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, print_line, k) &&
		!k->failed)
		return git2_failed(k->err, "'%s'", t->dir);
	return k->failed ? -1 : 0;
}

int
worktree_diff(struct state *st, const struct session *s, bool stat,
	int (*emit)(const char *text, size_t n, void *arg, struct err *err),
	void *arg, struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	struct sink k = { .emit = emit, .arg = arg, .err = err };
	size_t i;

	if (trees_need(st, s, &t, err))
		return -1;
	for (i = 0; i < t.n; i++)
		if (diff_one(&t.v[i], stat, &k))
			return -1;
	return 0;
}

/* ---- as mail ---- */

static int
mail(git_repository *repo, const git_oid *id, struct sink *k)
{
	GIT2(git_commit) *commit = NULL;
	git_email_create_options o;
	git_buf text = { 0 };
	int rc;

	if (git_commit_lookup(&commit, repo, id))
		return git2_failed(k->err, "patch");
	if (git_commit_parentcount(commit) > 1)
		return 0; /* as format-patch: a merge is no patch */
	memset(&o, 0, sizeof(o));
	o.version = GIT_EMAIL_CREATE_OPTIONS_VERSION;
	o.flags = GIT_EMAIL_CREATE_OMIT_NUMBERS;
	(void)git_diff_options_init(&o.diff_opts, GIT_DIFF_OPTIONS_VERSION);
	o.diff_opts.flags |= GIT_DIFF_SHOW_BINARY;
	(void)git_diff_find_options_init(&o.diff_find_opts,
		GIT_DIFF_FIND_OPTIONS_VERSION);
	if (git_email_create_from_commit(&text, commit, &o))
		return git2_failed(k->err, "patch");
	rc = k->emit(text.ptr, text.size, k->arg, k->err);
	git_buf_dispose(&text);
	return rc;
}

int
tree_walk(git_repository *repo, const struct tree *t, git_revwalk **ret,
	struct err *err)
{
	GIT2(git_revwalk) *walk = NULL;
	git_oid id;

	if (git_revwalk_new(&walk, repo) ||
		git_revwalk_sorting(walk,
			GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE) ||
		(t->base_commit && (git_oid_fromstr(&id, t->base_commit) ||
			git_revwalk_hide(walk, &id))))
		return git2_failed(err, "'%s'", t->dir);
	if (!git_reference_name_to_id(&id, repo, "HEAD") &&
		git_revwalk_push(walk, &id))
		return git2_failed(err, "'%s'", t->dir);
	*ret = walk;
	walk = NULL;
	return 0;
}

static int
patch_one(const struct tree *t, struct sink *k)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_revwalk) *walk = NULL;
	git_oid id;
	int rc;

	if (tree_open(t, &repo, k->err) || tree_walk(repo, t, &walk, k->err))
		return -1;
	while (!(rc = git_revwalk_next(&id, walk)))
		if (mail(repo, &id, k))
			return -1;
	return rc == GIT_ITEROVER ? 0 : git2_failed(k->err, "'%s'", t->dir);
}

int
worktree_patch(struct state *st, const struct session *s,
	int (*emit)(const char *text, size_t n, void *arg, struct err *err),
	void *arg, bool *ret_dirty, struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	struct sink k = { .emit = emit, .arg = arg, .err = err };
	bool dirty = false;
	size_t i;

	if (trees_need(st, s, &t, err))
		return -1;
	for (i = 0; i < t.n; i++) {
		GIT2(git_repository) *repo = NULL;
		int rc;

		if (patch_one(&t.v[i], &k) || tree_open(&t.v[i], &repo, err) ||
			(rc = tree_dirty(repo, err)) < 0)
			return -1;
		dirty |= rc == 1;
	}
	*ret_dirty = dirty;
	return 0;
}
