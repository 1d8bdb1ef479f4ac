#include "lib/session/pull_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

enum { COMMITS_MAX = 100 };

/* "* subject" of each commit; *ret_only: the subject, if there is one only. */
static int
describe(const struct tree *t, struct buf *ret, char **ret_only,
	struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_revwalk) *walk = NULL;
	git_oid id;
	int n = 0;

	if (tree_open(t, &repo, err) || tree_walk(repo, t, &walk, err))
		return -1;
	while (n < COMMITS_MAX && !git_revwalk_next(&id, walk)) {
		GIT2(git_commit) *c = NULL;
		const char *subject;

		if (git_commit_lookup(&c, repo, &id))
			return git2_failed(err, "'%s'", t->dir);
		subject = git_commit_summary(c);
		buf_addf(ret, "* %s\n", subject ? subject : "");
		free(steal_ptr(ret_only));
		if (!n++ && subject && *subject)
			*ret_only = xstrdup(subject);
	}
	return 0;
}

static int
remember(struct state *st, const struct tree *t, const char *url,
	struct err *err)
{
	struct json *data = json_object();

	json_put_str(data, "repo", t->repo);
	json_put_str(data, "url", url);
	return session_note(st, "session.proposed", t->session, data,
		"UPDATE worktree SET request = ? WHERE session = ? "
		"AND name = ?", (const struct db_value[]){ DB_S(url),
			DB_S(t->session), DB_S(t->name), DB_LAST }, err);
}

static int
send(struct state *st, const struct session *s, const struct tree *t,
	struct pull_host *h, const struct pull_request *r, struct json **ret,
	struct err *err)
{
	CLEANUP_FREE char *url = NULL;
	bool new;

	if (pull_host_token(st, s, h, err) ||
		pull_send(h, r, &url, &new, err) || remember(st, t, url, err))
		return -1;
	*ret = json_object();
	json_put_str(*ret, "repo", t->repo);
	json_put_str(*ret, "url", url);
	json_put_bool(*ret, "new", new);
	return 0;
}

static int
open_one(struct state *st, const struct session *s, const struct tree *t,
	const struct pull_options *o, struct json **ret, struct err *err)
{
	CLEANUP_BUF struct buf list = BUF_INIT;
	CLEANUP_FREE char *only = NULL, *subject = NULL;
	struct pull_host h = { .token = BUF_INIT };
	struct pull_request r = { .head = t->pushed_branch,
		.base = o->base ? o->base : t->base };
	int rc;

	if (!r.base)
		return err_set(err, ERR_USAGE,
			"'%s' was empty: there is nothing to merge into",
			t->repo);
	if (describe(t, &list, &only, err) ||
		worktree_subject(st, s, &subject, err))
		return -1;
	r.title = o->title ? o->title : only ? only : subject;
	r.body = o->body ? o->body : list.s;
	rc = pull_host_of(st, t->repo, &h, err);
	if (!rc && o->dry_run)
		*ret = pull_json(&h, &r);
	else if (!rc)
		rc = send(st, s, t, &h, &r, ret, err);
	pull_host_release(&h);
	return rc;
}

int
pull_open(struct state *st, const struct session *s,
	const struct pull_options *o,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	CLEANUP_TREES struct trees t = TREES_INIT;
	size_t i;
	int n = 0;

	if (trees_need(st, s, &t, err) ||
		(o->base && worktree_check_branch(o->base, err)))
		return -1;
	for (i = 0; i < t.n; i++) {
		struct json *row = NULL;

		if (!t.v[i].pushed)
			continue;
		n++;
		if (open_one(st, s, &t.v[i], o, &row, err) || emit(row, arg))
			return -1;
	}
	return n ? 0 :
		   err_set(err, ERR_BUSY,
			   "session '%s' has pushed nothing: 'forge-session "
			   "push %s' first", s->id, s->id);
}
