#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/mem.h"
#include "lib/session/repo.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

/* The commit that HEAD is, as hex; NULL: nothing was committed. */
static int
head_of(const struct tree *t, char **ret, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *head = NULL;
	CLEANUP_FREE char *ref = NULL;
	char hex[GIT_OID_HEXSZ + 1];

	if (tree_open(t, &repo, err) || tree_head(repo, &ref, &head, err))
		return -1;
	*ret = head ? xstrdup(git_oid_tostr(hex, sizeof(hex),
			      git_commit_id(head))) : NULL;
	return 0;
}

static int
remember(struct state *st, const struct tree *t, const char *branch,
	const char *commit, struct err *err)
{
	struct json *data = json_object();

	json_put_str(data, "repo", t->repo);
	json_put_str(data, "branch", branch);
	json_put_str(data, "commit", commit);
	return session_note(st, "session.pushed", t->session, data,
		"UPDATE worktree SET pushed = ?, pushed_branch = ? "
		"WHERE session = ? AND name = ?",
		(const struct db_value[]){ DB_S(commit), DB_S(branch),
			DB_S(t->session), DB_S(t->name), DB_LAST }, err);
}

/*
 * What we pushed there before may be replaced (a turn was reverted), and
 * nothing else.
 */
static int
push(struct state *st, const struct session *s, const struct tree *t,
	const char *branch, const char *commit, struct err *err)
{
	static const char *const words[] = { "push", "--quiet", "--no-verify",
		"--no-signed", "--no-follow-tags", "--recurse-submodules=no",
		"--receive-pack=git-receive-pack", NULL };
	CLEANUP_REMOTE struct remote r = REMOTE_INIT;
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	/* git takes no HEAD that is a link: the clone's own door */
	CLEANUP_FREE char *door = repo_door(st, t->hash);
	struct repo_git g = { .st = st, .door = door, .identity = s->identity,
		.remote = &r };

	if (remote_parse(t->repo, &r, err))
		return -1;
	argv_pushv(&a, words);
	if (t->pushed && !strcmp(t->pushed_branch, branch))
		argv_pushf(&a, "--force-with-lease=refs/heads/%s:%s", branch,
			t->pushed);
	argv_push(&a, "--");
	argv_push(&a, r.url);
	argv_pushf(&a, "%s:refs/heads/%s", commit, branch);
	return repo_git(&g, &a, NULL, err) ||
			remember(st, t, branch, commit, err) ?
		-1 :
		0;
}

/* 1 pushed, 0 nothing to push, -1. */
static int
push_one(struct state *st, const struct session *s, const struct tree *t,
	const char *branch, struct json *row, struct err *err)
{
	CLEANUP_FREE char *commit = NULL;
	bool there;

	if (!t->hash)
		return err_set(err, ERR_USAGE,
			"session '%s' works in your own checkout: 'git push' "
			"there", s->id);
	if (head_of(t, &commit, err))
		return -1;
	json_put_str(row, "name", t->name);
	json_put_str(row, "url", t->repo);
	json_put_str(row, "branch", branch);
	json_put_str(row, "commit", commit);
	there = t->pushed && commit && !strcmp(t->pushed, commit) &&
		!strcmp(t->pushed_branch, branch);
	if (!commit || there ||
		(t->base_commit && !strcmp(t->base_commit, commit) &&
			!t->pushed)) {
		json_put_bool(row, "pushed", false);
		return 0;
	}
	json_put_bool(row, "pushed", true);
	return push(st, s, t, branch, commit, err) ? -1 : 1;
}

int
worktree_push(struct state *st, const struct session *s, const char *branch,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	size_t i;

	if (session_quiet(s, err) || trees_need(st, s, &t, err) ||
		(branch && worktree_check_branch(branch, err)))
		return -1;
	for (i = 0; i < t.n; i++) {
		struct json *row = json_object();
		int rc = push_one(st, s, &t.v[i],
			branch ? branch : t.v[i].branch, row, err);

		if (rc < 0) {
			json_free(row);
			return -1;
		}
		if (emit(row, arg))
			return -1;
	}
	return 0;
}
