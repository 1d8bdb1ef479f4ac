#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/session/remote.h"
#include "lib/base/banned.h"

enum { REPOS_MAX = 32 };

int
worktree_check_branch(const char *name, struct err *err)
{
	CLEANUP_FREE char *ref = xasprintf("refs/heads/%s", name);
	int valid = 0;

	if (git2_start(err))
		return -1;
	if (*name != '-' && !git_reference_name_is_valid(&valid, ref) && valid)
		return 0;
	return err_set(err, ERR_USAGE, "'%.200s' cannot be a branch's name",
		name);
}

/* Is a name in use already?  Of repositories called alike each has one. */
static bool
taken(const struct json *repos, const char *name)
{
	size_t i, n = json_len(repos, "");

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *r = json_at(repos, i);

		if (!strcmp(json_str(r, "name", ""), name))
			return true;
	}
	return false;
}

static void
add_repo(struct json *repos, const struct remote *r, const char *base,
	bool only)
{
	CLEANUP_FREE char *name = xstrdup(only ? "" : r->name);
	struct json *o = json_object();
	int n;

	for (n = 2; taken(repos, name); n++) {
		free(name);
		name = xasprintf("%s-%d", r->name, n);
	}
	json_put_str(o, "name", name);
	json_put_str(o, "url", r->url);
	if (base)
		json_put_str(o, "base", base);
	json_push(repos, o);
}

/* "ADDRESS#BRANCH" */
static int
take_repo(const char *text, const char *base, bool only, struct json *repos,
	char **ret_url, struct err *err)
{
	CLEANUP_REMOTE struct remote r = REMOTE_INIT;
	CLEANUP_FREE char *address = xstrdup(text);
	char *own = strrchr(address, '#');

	if (own) {
		*own++ = '\0';
		base = own;
	}
	if (remote_parse(address, &r, err) || (base && worktree_check_branch(base, err)))
		return -1;
	add_repo(repos, &r, base, only);
	if (!*ret_url)
		*ret_url = xstrdup(r.url);
	return 0;
}

/* The user's own checkout: what and where it is now is what is used. */
static int
plan_local(struct session *s, const struct argv *repos, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_reference) *head = NULL;
	CLEANUP_BUF struct buf dir = BUF_INIT;
	const char *ref = NULL;

	if (repos->n != 1 || s->base || s->branch || strchr(repos->v[0], '#'))
		return err_set(err, ERR_USAGE,
			"--local is for one --repo, on the branch that it "
			"is on");
	if (git2_start(err))
		return -1;
	if (git_repository_open_ext(&repo, repos->v[0], 0, NULL))
		return err_set(err, ERR_NOTFOUND,
			"'%.300s' is in no repository", repos->v[0]);
	if (!git_repository_workdir(repo))
		return err_set(err, ERR_USAGE,
			"'%.300s' is a bare repository: --local needs its "
			"files", repos->v[0]);
	buf_adds(&dir, git_repository_workdir(repo));
	if (dir.len > 1 && dir.s[dir.len - 1] == '/')
		buf_setlen(&dir, dir.len - 1);
	if (!git_reference_lookup(&head, repo, "HEAD"))
		ref = git_reference_symbolic_target(head);
	if (!ref || strncmp(ref, "refs/heads/", 11) != 0)
		return err_set(err, ERR_USAGE,
			"'%s' is on no branch: check one out first", dir.s);
	s->branch = xstrdup(ref + 11);
	s->dir = xstrdup(dir.s);
	s->repo = buf_detach(&dir);
	json_put_bool(s->options, "local", true);
	return 0;
}

/* Do the id and the branch make names that git takes? */
static int
check_names(const struct session *s, struct err *err)
{
	CLEANUP_FREE char *id = xasprintf("session/%s/1", s->id);

	if (worktree_check_branch(id, err))
		return err_set(err, ERR_USAGE,
			"session id '%s' cannot be in a branch's name", s->id);
	return worktree_check_branch(s->branch, err);
}

int
worktree_plan(struct state *st, struct session *s, const struct argv *repos,
	bool local, struct err *err)
{
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	struct json *list;
	size_t i;

	if (s->identity && identity_get(st, s->identity, &id, err))
		return -1;
	if (!repos->n)
		return local || s->branch || s->base ?
			err_set(err, ERR_USAGE,
				"which repository? --repo names it") :
			0;
	if (s->dir)
		return err_set(err, ERR_USAGE, "--repo and --dir exclude each "
			"other: --local works in a checkout of yours");
	if (!s->options)
		s->options = json_object();
	if (local)
		return plan_local(s, repos, err);
	if (repos->n > REPOS_MAX)
		return err_set(err, ERR_USAGE, "at most %d repositories",
			REPOS_MAX);
	list = json_array();
	for (i = 0; i < repos->n; i++)
		if (take_repo(repos->v[i], s->base, repos->n == 1, list,
			    &s->repo, err)) {
			json_free(list);
			return -1;
		}
	json_put(s->options, "repos", list);
	if (!s->branch)
		s->branch = xasprintf("session/%s", s->id);
	return check_names(s, err);
}
