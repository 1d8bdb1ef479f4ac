#include "lib/session/worktree_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/repo.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { INDEX_MAX = 1 << 30 };

/* What one repository of a session is to become. */
struct wanted {
	const char *name, *url;
	char *base; /* branch; NULL: of an empty repository */
	char *commit; /* to begin from; NULL likewise */
	struct remote remote;
	char *git, *dir;
};

static void
wanted_release(struct wanted *w)
{
	free(w->base);
	free(w->commit);
	free(w->git);
	free(w->dir);
	remote_release(&w->remote);
}

/* ---- where it begins ---- */

static bool
origin(git_repository *repo, const char *branch, char **ret)
{
	CLEANUP_FREE char *ref = xasprintf("refs/remotes/origin/%s", branch);
	char hex[GIT_OID_HEXSZ + 1];
	git_oid id;

	if (git_reference_name_to_id(&id, repo, ref))
		return false;
	*ret = xstrdup(git_oid_tostr(hex, sizeof(hex), &id));
	return true;
}

/* The default branch's name, or NULL. */
static char *
default_of(git_repository *repo)
{
	static const char prefix[] = "refs/remotes/origin/";
	GIT2(git_reference) *head = NULL;
	const char *to;

	if (git_reference_lookup(&head, repo, "refs/remotes/origin/HEAD"))
		return NULL;
	to = git_reference_symbolic_target(head);
	return to && !strncmp(to, prefix, sizeof(prefix) - 1) ?
		xstrdup(to + sizeof(prefix) - 1) : NULL;
}

/* Its HEAD may be there before the branch that it names. */
static bool
has_branches(git_repository *repo)
{
	GIT2(git_reference_iterator) *it = NULL;
	GIT2(git_reference) *a = NULL;
	GIT2(git_reference) *b = NULL;

	return !git_reference_iterator_glob_new(&it, repo,
		       "refs/remotes/origin/*") &&
		!git_reference_next(&a, it) &&
		(strcmp(git_reference_name(a), "refs/remotes/origin/HEAD") ||
			!git_reference_next(&b, it));
}

static int
find_base(git_repository *repo, const struct session *s, const char *base,
	struct wanted *w, struct err *err)
{
	if (base) {
		w->base = xstrdup(base);
		return origin(repo, base, &w->commit) ? 0 :
			err_set(err, ERR_NOTFOUND, "'%s' has no branch '%s'",
				w->url, base);
	}
	w->base = default_of(repo);
	/* A branch that is there already is gone on with. */
	if (origin(repo, s->branch, &w->commit) ||
		(w->base && origin(repo, w->base, &w->commit)))
		return 0;
	free(w->base);
	w->base = NULL;
	return has_branches(repo) ?
		err_set(err, ERR_NOTFOUND,
			"'%s' has no default branch: choose one (--base)",
			w->url) :
		0;
}

/* ---- its row ---- */

static const char sql_insert[] =
	"INSERT INTO worktree (session, name, repo, hash, base, base_commit, "
	"branch, dir, git, state, created_at) "
	"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'making', ?10) "
	"ON CONFLICT (session, name) DO NOTHING";

static int
insert(struct state *st, const struct session *s, const struct wanted *w,
	const char *hash, struct err *err)
{
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	if (!db_run(db, sql_insert, NULL, err, DB_S(s->id), DB_S(w->name),
		    DB_S(w->url), DB_S(hash), DB_S(w->base), DB_S(w->commit),
		    DB_S(s->branch), DB_S(w->dir), DB_S(w->git),
		    DB_I(clock_wall())))
		return 0;
	return err->code == ERR_EXISTS ?
		err_set(err, ERR_EXISTS,
			"branch '%s' of '%s' is another session's: choose one "
			"(--branch)", s->branch, w->url) :
		-1;
}

static int
is_ready(struct state *st, const struct tree *t, struct err *err)
{
	struct json *data = json_object();

	json_put_str(data, "repo", t->repo);
	json_put_str(data, "branch", t->branch);
	json_put_str(data, "commit", t->base_commit);
	return session_note(st, "repo.checkedout", t->session, data,
		"UPDATE worktree SET state = 'ready' WHERE session = ? "
		"AND name = ? AND state = 'making'",
		(const struct db_value[]){ DB_S(t->session), DB_S(t->name),
			DB_LAST }, err);
}

/* ---- its files ---- */

static int
put(const char *dir, const char *name, const char *text, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

	return fs_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
}

/*
 * What `git worktree add` writes; see gitrepository-layout(5).  "locked",
 * because a place may not see the directories of the others, and a `git
 * worktree prune` there would forget them.
 */
static int
link_files(const struct tree *t, struct err *err)
{
	CLEANUP_FREE char *gitdir = xasprintf("%s/.git\n", t->dir);
	CLEANUP_FREE char *head = xasprintf("ref: refs/heads/%s\n", t->branch);
	CLEANUP_FREE char *back = xasprintf("gitdir: %s\n", t->git);

	return fs_mkdirs(AT_FDCWD, t->git, 0700, err) ||
			fs_mkdirs(AT_FDCWD, t->dir, 0700, err) ||
			put(t->git, "commondir", "../..\n", err) ||
			put(t->git, "gitdir", gitdir, err) ||
			put(t->git, "locked", "forge-session\n", err) ||
			put(t->git, "HEAD", head, err) ||
			put(t->dir, ".git", back, err) ?
		-1 :
		0;
}

/* The agent's index begins as ours: the same files, just written. */
static int
copy_index(const struct tree *t, struct err *err)
{
	CLEANUP_FREE char *from = xasprintf("%s/index", t->door);
	CLEANUP_FREE char *to = xasprintf("%s/index", t->git);
	CLEANUP_BUF struct buf b = BUF_INIT;

	return fs_read(AT_FDCWD, from, INDEX_MAX, &b, err) ||
			fs_replace(AT_FDCWD, to, b.s, b.len, 0600, err) ?
		-1 :
		0;
}

static int
branch_at(git_repository *repo, const struct tree *t, const git_oid *id,
	struct err *err)
{
	GIT2(git_reference) *ref = NULL;
	CLEANUP_FREE char *name = xasprintf("refs/heads/%s", t->branch);
	git_oid now;
	int rc;

	rc = git_reference_create(&ref, repo, name, id, 0, NULL);
	if (!rc)
		return 0;
	/* Ours, of a time when we were killed; else an agent made it. */
	if (rc == GIT_EEXISTS && !git_reference_name_to_id(&now, repo, name) &&
		git_oid_equal(&now, id))
		return 0;
	if (rc == GIT_EEXISTS)
		return err_set(err, ERR_EXISTS,
			"branch '%s' is in the clone of '%s' already: choose "
			"another (--branch)", t->branch, t->repo);
	return git2_failed(err, "branch '%s'", t->branch);
}

static int
check_out(const struct tree *t, struct err *err)
{
	git_checkout_options o;
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *commit = NULL;
	git_oid id;

	if (!t->base_commit)
		return 0;
	if (tree_open(t, &repo, err))
		return -1;
	if (git_oid_fromstr(&id, t->base_commit) ||
		git_commit_lookup(&commit, repo, &id))
		return git2_failed(err, "commit '%s'", t->base_commit);
	if (branch_at(repo, t, &id, err))
		return -1;
	(void)git_checkout_options_init(&o, GIT_CHECKOUT_OPTIONS_VERSION);
	o.checkout_strategy = GIT_CHECKOUT_FORCE;
	if (git_checkout_tree(repo, (const git_object *)commit, &o))
		return git2_failed(err, "cannot check out '%s'", t->repo);
	return copy_index(t, err);
}

static int
make_tree(struct state *st, const struct tree *t, struct err *err)
{
	CLEANUP_FREE char *common = repo_path(st, t->hash);

	if (link_files(t, err) || repo_make_door(t->door, common, t->git, err) ||
		check_out(t, err))
		return -1;
	return is_ready(st, t, err);
}

/* ---- of one repository ---- */

static int
want(struct state *st, const struct session *s, const struct json *r,
	struct wanted *w, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	CLEANUP_FREE char *door = NULL, *path = NULL;

	w->name = json_str(r, "name", "");
	w->url = json_str(r, "url", "");
	if (remote_parse(w->url, &w->remote, err) ||
		repo_sync(st, &w->remote, s->identity, err))
		return -1;
	door = repo_door(st, w->remote.hash);
	path = repo_path(st, w->remote.hash);
	w->git = xasprintf("%s/worktrees/%s%s%s", path, s->id,
		*w->name ? "-" : "", w->name);
	w->dir = xasprintf("%s/session/%s/work%s%s", state_path(st), s->id,
		*w->name ? "/" : "", w->name);
	return git2_open(door, NULL, &repo, err) ||
			find_base(repo, s, json_str(r, "base", NULL), w, err) ||
			insert(st, s, w, w->remote.hash, err) ?
		-1 :
		0;
}

/* The user's own: only noted, and a door made. */
static int
want_local(struct state *st, const struct session *s, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	struct wanted w = { .name = "", .url = s->repo };
	char hex[GIT_OID_HEXSZ + 1];
	git_oid id;
	int rc = 0;

	if (git2_start(err))
		return -1;
	if (git_repository_open_ext(&repo, s->repo,
		    GIT_REPOSITORY_OPEN_NO_SEARCH, NULL))
		return git2_failed(err, "'%s'", s->repo);
	w.git = xstrdup(git_repository_path(repo));
	w.dir = xstrdup(s->repo);
	if (!git_reference_name_to_id(&id, repo, "HEAD")) {
		w.commit = xstrdup(git_oid_tostr(hex, sizeof(hex), &id));
		w.base = xstrdup(s->branch);
	}
	rc = insert(st, s, &w, NULL, err);
	wanted_release(&w);
	return rc;
}

static int
make_local(struct state *st, const struct tree *t, struct err *err)
{
	GIT2(git_repository) *repo = NULL;

	if (git_repository_open_ext(&repo, t->repo,
		    GIT_REPOSITORY_OPEN_NO_SEARCH, NULL))
		return git2_failed(err, "'%s'", t->repo);
	return repo_make_door(t->door, git_repository_commondir(repo), t->git,
		       err) ||
			is_ready(st, t, err) ?
		-1 :
		0;
}

static bool
has(const struct trees *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (!strcmp(t->v[i].name, name))
			return true;
	return false;
}

/* Rows for those that have none yet. */
static int
want_all(struct state *st, const struct session *s, const struct trees *there,
	struct err *err)
{
	CLEANUP_JSON struct json *repos = json_get(s->options, "repos");
	size_t i, n = repos ? json_len(repos, "") : 0;

	if (json_bool(s->options, "local", false))
		return there->n ? 0 : want_local(st, s, err);
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *r = json_at(repos, i);
		struct wanted w = { 0 };
		int rc = 0;

		if (!has(there, json_str(r, "name", "")))
			rc = want(st, s, r, &w, err);
		wanted_release(&w);
		if (rc)
			return -1;
	}
	return 0;
}

int
worktree_make(struct state *st, const struct session *s, char **ret_dir,
	struct err *err)
{
	CLEANUP_TREES struct trees there = TREES_INIT, t = TREES_INIT;
	size_t i;

	*ret_dir = NULL;
	if (!s->repo)
		return 0;
	if (trees_load(st, s->id, &there, err) ||
		want_all(st, s, &there, err) || trees_load(st, s->id, &t, err))
		return -1;
	for (i = 0; i < t.n; i++)
		if (!strcmp(t.v[i].state, "making") &&
			(t.v[i].hash ? make_tree(st, &t.v[i], err) :
				       make_local(st, &t.v[i], err)))
			return -1;
	*ret_dir = s->dir ? xstrdup(s->dir) :
			    xasprintf("%s/session/%s/work", state_path(st),
				    s->id);
	return 0;
}
