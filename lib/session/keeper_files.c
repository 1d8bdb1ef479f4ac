#include "lib/session/keeper_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/session/mirror.h"
#include "lib/session/repo.h"
#include "lib/session/worktree_guest.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { PACK_MAX = 256 << 20, HEX = 40 };

static char *
below(struct state *st, const char *id, const char *what)
{
	return xasprintf("%s/session/%s/%s", state_path(st), id, what);
}

/* A clone of ours, on a branch that nobody else has. */
static bool
ours(const struct tree *t)
{
	return t->hash && !strcmp(t->state, "ready");
}

/* ---- there ---- */

static const char script_about[] =
	"echo \"$(id -u):$(id -g)\"; command -v git";
static const char script_dirs[] =
	"u=$1; shift; mkdir -p -- \"$@\" && chown \"$u\" -- \"$@\"";
static const char script_empty[] =
	"cd -- \"$1\" && for f in * .[!.]* ..?*; do case $f in .git) ;; "
	"*) rm -rf -- \"$f\";; esac; done";

/* Who the agent is there, and is there a git? */
static int
ask(struct keeper *k, struct err *err)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	size_t n;

	if (keeper_exec(k, false, script_about, (const char *[]){ NULL }, &out,
		    4096, err)) {
		/* The last of it fails where there is no git. */
		if (!strchr(out.s, '\n'))
			return err_wrap(err, "image '%s'",
				k->s.place + strlen(PLACE_VM));
		*err = ERR_INIT;
	}
	n = strcspn(out.s, "\n");
	if (!n || strspn(out.s, "0123456789:") != n || n > 24)
		return err_set(err, ERR_INVALID,
			"image '%s' has no id(1) that tells who its user is",
			k->s.place + strlen(PLACE_VM));
	k->user = xstrndup(out.s, n);
	k->git = out.s[n] && out.s[n + 1];
	return 0;
}

static int
put_repo(struct keeper *k, size_t i, struct err *err)
{
	const struct tree *t = &k->trees.v[i];
	CLEANUP_FREE char *dir = below(k->st, k->s.id, "there");
	CLEANUP_FREE char *to = repo_path(k->st, t->hash);
	struct err none = ERR_INIT;
	int rc;

	free(steal_ptr(&k->known[i]));
	rc = fs_remove_tree(AT_FDCWD, dir, err) ||
			guest_repo_make(k->st, t, dir, &k->known[i], err) ||
			keeper_exec(k, true, script_dirs,
				(const char *[]){ k->user, to, NULL }, NULL, 0,
				err) ||
			keeper_put(k, dir, to, err) ?
		-1 :
		0;
	return fs_remove_tree(AT_FDCWD, dir, rc ? &none : err) || rc ? -1 : 0;
}

static int
put_repos(struct keeper *k, struct err *err)
{
	size_t i;

	for (i = 0; k->git && i < k->trees.n; i++)
		if (ours(&k->trees.v[i]) && put_repo(k, i, err))
			return -1;
	return 0;
}

/* What files and branches are: to see later whether somebody here was at
 * them.  Without a repository nobody knows. */
static int
mark(const struct keeper *k, struct buf *ret, struct err *err)
{
	size_t i;

	buf_reset(ret);
	for (i = 0; i < k->trees.n; i++)
		if (guest_repo_mark(&k->trees.v[i], ret, err))
			return -1;
	return 0;
}

int
keeper_fill(struct keeper *k, struct err *err)
{
	const char *dirs[] = { NULL, k->s.dir, k->home, NULL };

	if (ask(k, err))
		return -1;
	dirs[0] = k->user;
	if (keeper_exec(k, true, script_dirs, dirs, NULL, 0, err))
		return err_wrap(err, "image '%s'",
			k->s.place + strlen(PLACE_VM));
	return keeper_put(k, k->home, k->home, err) ||
			keeper_put(k, k->s.dir, k->s.dir, err) ||
			put_repos(k, err) || mark(k, &k->mark, err) ?
		-1 :
		0;
}

int
keeper_refill(struct keeper *k, struct err *err)
{
	CLEANUP_BUF struct buf now = BUF_INIT;

	if (mark(k, &now, err))
		return -1;
	if (!strcmp(now.s, k->mark.s))
		return 0;
	log_info("session.refill", "id", k->s.id, NULL);
	if (keeper_exec(k, false, script_empty,
		    (const char *[]){ k->s.dir, NULL }, NULL, 0, err) ||
		keeper_put(k, k->s.dir, k->s.dir, err) || put_repos(k, err))
		return -1;
	buf_reset(&k->mark);
	buf_adds(&k->mark, now.s);
	return 0;
}

/* ---- back: to be taken over ---- */

static bool
is_commit(const char *hex)
{
	return strspn(hex, "0123456789abcdef") == HEX &&
		(!hex[HEX] || hex[HEX] == '\n');
}

static int
write_file(const char *dir, const struct tree *t, const char *suffix,
	const char *p, size_t n, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/tree-%s.%s", dir, t->name,
		suffix);

	return fs_replace(AT_FDCWD, path, p, n, 0600, err);
}

/* What was committed there and is not here. */
static int
get_commits(struct keeper *k, size_t i, const char *dir, struct err *err)
{
	static const char head[] =
		"cd -- \"$1\" && git rev-parse -q --verify HEAD || :";
	static const char pack[] =
		"cd -- \"$1\" && if [ -z \"$2\" ] || "
		"! git merge-base --is-ancestor HEAD \"$2\"; then "
		"printf 'HEAD\\n%s\\n' \"${2:+^$2}\" | "
		"git pack-objects -q --revs --stdout; fi";
	const struct tree *t = &k->trees.v[i];
	const char *known = k->known[i] ? k->known[i] : "";
	CLEANUP_BUF struct buf now = BUF_INIT, b = BUF_INIT;

	if (keeper_exec(k, false, head, (const char *[]){ t->dir, NULL }, &now,
		    4096, err))
		return -1;
	if (!is_commit(now.s) || !strncmp(now.s, known, HEX))
		return 0;
	if (keeper_exec(k, false, pack,
		    (const char *[]){ t->dir, known, NULL }, &b, PACK_MAX,
		    err))
		return err_wrap(err, "the agent's commits");
	return write_file(dir, t, "known", known, strlen(known), err) ||
			write_file(dir, t, "head", now.s, HEX, err) ||
			write_file(dir, t, "pack", b.s, b.len, err) ?
		-1 :
		0;
}

static int
get_all(struct keeper *k, const char *dir, struct err *err)
{
	CLEANUP_FREE char *work = xasprintf("%s/work", dir);
	CLEANUP_FREE char *home = xasprintf("%s/home", dir);
	size_t i;

	if (fs_remove_tree(AT_FDCWD, dir, err) ||
		fs_mkdirs(AT_FDCWD, dir, 0700, err) ||
		keeper_get(k, k->s.dir, work, err) ||
		keeper_get(k, k->home, home, err))
		return -1;
	for (i = 0; k->git && i < k->trees.n; i++)
		if (ours(&k->trees.v[i]) && get_commits(k, i, dir, err))
			return -1;
	return 0;
}

/* ---- back: taking it over ---- */

/*
 * Commits that our git refuses do not take the files with them: they were
 * taken over before, and stay as changes that are not committed.
 */
static int
take_commits(struct state *st, const struct tree *t, const char *dir,
	struct err *err)
{
	static const char *const names[] = { "pack", "known", "head" };
	static const size_t max[] = { PACK_MAX, HEX, HEX };
	struct buf b[] = { BUF_INIT, BUF_INIT, BUF_INIT };
	struct guest_commits c = { .pack = &b[0] };
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ARRAY_SIZE(names); i++) {
		CLEANUP_FREE char *path = xasprintf("%s/tree-%s.%s", dir,
			t->name, names[i]);

		if (!i && !fs_exists(AT_FDCWD, path))
			return 0;
		rc = fs_read(AT_FDCWD, path, max[i], &b[i], err);
	}
	c.known = b[1].len ? b[1].s : NULL;
	c.head = b[2].s;
	if (!rc)
		rc = guest_repo_take(st, t, &c, err);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		buf_release(&b[i]);
	if (!rc)
		return 0;
	if (err->code != ERR_INVALID && err->code != ERR_BUSY)
		return -1;
	log_warning("session.commits", "id", t->session, "error", err->msg,
		NULL);
	*err = ERR_INIT;
	return 0;
}

static int
take_dir(const char *dir, const char *what, const char *to, bool keep_git,
	struct err *err)
{
	CLEANUP_FREE char *from = xasprintf("%s/%s", dir, what);

	return mirror(from, to, keep_git, err);
}

int
keeper_finish(struct state *st, const struct session *s, struct err *err)
{
	CLEANUP_FREE char *dir = below(st, s->id, "back");
	CLEANUP_FREE char *home = below(st, s->id, "home");
	CLEANUP_TREES struct trees t = TREES_INIT;
	size_t i;

	if (!fs_exists(AT_FDCWD, dir) || !s->dir)
		return 0;
	if (trees_load(st, s->id, &t, err) ||
		take_dir(dir, "work", s->dir, true, err) ||
		take_dir(dir, "home", home, false, err))
		return -1;
	for (i = 0; i < t.n; i++)
		if (ours(&t.v[i]) && take_commits(st, &t.v[i], dir, err))
			return -1;
	return fs_remove_tree(AT_FDCWD, dir, err);
}

/* Where the branches are now: what comes next begins there. */
static int
look(struct keeper *k, struct err *err)
{
	size_t i;

	for (i = 0; i < k->trees.n; i++) {
		GIT2(git_repository) *repo = NULL;
		GIT2(git_commit) *head = NULL;
		CLEANUP_FREE char *ref = NULL;
		char hex[GIT_OID_HEXSZ + 1];

		if (tree_open(&k->trees.v[i], &repo, err) ||
			tree_head(repo, &ref, &head, err))
			return -1;
		free(k->known[i]);
		k->known[i] = head ? xstrdup(git_oid_tostr(hex, sizeof(hex),
					     git_commit_id(head))) :
				     NULL;
	}
	return mark(k, &k->mark, err);
}

int
keeper_back(struct keeper *k, struct err *err)
{
	CLEANUP_FREE char *coming = below(k->st, k->s.id, "back.tmp");
	CLEANUP_FREE char *there = below(k->st, k->s.id, "back");

	if (get_all(k, coming, err))
		return -1;
	if (rename(coming, there))
		return err_sys(err, "cannot make '%s'", there);
	return keeper_finish(k->st, &k->s, err) || look(k, err) ? -1 : 0;
}
