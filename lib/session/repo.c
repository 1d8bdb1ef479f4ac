#include "lib/session/repo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/repo_internal.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { LOCK_MS = 900000 };

/* What agents see.  Nothing of ours reads it. */
static const char shared_config[] =
	"[core]\n"
	"\trepositoryformatversion = 0\n"
	"\tbare = true\n"
	"\thooksPath = /dev/null\n"
	"\tfsmonitor = false\n"
	"[gc]\n"
	"\tauto = 0\n"
	"[maintenance]\n"
	"\tauto = false\n";

/*
 * What our git and libgit2 see.  Objects are checked as they come; what is
 * let through are mistakes of old programs that harm nobody.
 */
static const char door_config[] =
	"[core]\n"
	"\trepositoryformatversion = 0\n"
	"\tbare = true\n"
	"\thooksPath = /dev/null\n"
	"\tfsmonitor = false\n"
	"\tattributesFile = /dev/null\n"
	"\texcludesFile = /dev/null\n"
	"\talternateRefsCommand = true\n"
	"\tlogAllRefUpdates = false\n"
	"\tprotectHFS = true\n"
	"\tprotectNTFS = true\n"
	"\tfsync = objects\n"
	"[gc]\n"
	"\tauto = 0\n"
	"[maintenance]\n"
	"\tauto = false\n"
	"[transfer]\n"
	"\tfsckObjects = true\n"
	"[fetch \"fsck\"]\n"
	"\tzeroPaddedFilemode = ignore\n"
	"\tmissingSpaceBeforeDate = ignore\n"
	"\tmissingSpaceBeforeEmail = ignore\n"
	"\tmissingNameBeforeEmail = ignore\n"
	"\tmissingEmail = ignore\n"
	"\tbadTimezone = ignore\n"
	"[fetch]\n"
	"\trecurseSubmodules = false\n"
	"\twriteCommitGraph = false\n"
	"[push]\n"
	"\trecurseSubmodules = no\n"
	"\tgpgSign = false\n"
	"[submodule]\n"
	"\trecurse = false\n"
	"[http]\n"
	"\tfollowRedirects = false\n"
	"\tlowSpeedLimit = 1\n"
	"\tlowSpeedTime = 60\n";

char *
repo_path(struct state *st, const char *hash)
{
	return xasprintf("%s/repo/%s.git", state_path(st), hash);
}

char *
repo_door(struct state *st, const char *hash)
{
	return xasprintf("%s/repo/%s.door", state_path(st), hash);
}

static int
link_to(int dir, const char *name, const char *base, const char *path,
	struct err *err)
{
	CLEANUP_FREE char *target = xasprintf("%s/%s", base, path);

	if (symlinkat(target, dir, name) && errno != EEXIST)
		return err_sys(err, "cannot make a link to '%s'", target);
	return 0;
}

int
repo_make_door(const char *door, const char *common, const char *head,
	struct err *err)
{
	static const char *const shared[] = { "objects", "refs",
		"packed-refs" };
	CLEANUP_CLOSE int dir = -1;
	size_t i;

	if (fs_mkdirs(AT_FDCWD, door, 0700, err))
		return -1;
	dir = open(door, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return err_sys(err, "cannot open '%s'", door);
	/* config comes last: with it the door is whole */
	if (fs_exists(dir, "config"))
		return 0;
	for (i = 0; i < ARRAY_SIZE(shared); i++)
		if (link_to(dir, shared[i], common, shared[i], err))
			return -1;
	if (head ? link_to(dir, "HEAD", head, "HEAD", err) :
		   fs_replace(dir, "HEAD", "ref: refs/heads/none\n", 21, 0600,
			   err))
		return -1;
	return fs_replace(dir, "config", door_config, sizeof(door_config) - 1,
		0600, err);
}

/* ---- the clone ---- */

/* HEAD comes last: with it the repository is whole. */
static int
make(const char *path, const struct remote *r, struct err *err)
{
	static const char *const dirs[] = { "objects/info", "objects/pack",
		"refs/heads", "refs/tags", "refs/remotes/origin", "worktrees" };
	CLEANUP_BUF struct buf config = BUF_INIT;
	CLEANUP_CLOSE int dir = -1;
	size_t i;

	if (fs_mkdirs(AT_FDCWD, path, 0700, err))
		return -1;
	dir = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (fs_exists(dir, "HEAD"))
		return 0;
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (fs_mkdirs(dir, dirs[i], 0700, err))
			return -1;
	buf_adds(&config, shared_config);
	buf_adds(&config, "[remote \"origin\"]\n\tfetch = "
			  "+refs/heads/*:refs/remotes/origin/*\n\turl = \"");
	for (const char *s = r->url; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_addc(&config, '\\');
		buf_addc(&config, *s);
	}
	buf_adds(&config, "\"\n");
	return fs_replace(dir, "config", config.s, config.len, 0600, err) ||
			fs_replace(dir, "HEAD", "ref: refs/heads/none\n", 21,
				0600, err) ?
		-1 :
		0;
}

/* An event that tells of no row. */
static int
note(struct state *st, const char *kind, const struct remote *r,
	struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err))
		return -1;
	data = json_object();
	json_put_str(data, "url", r->url);
	if (event_add(db, kind, r->hash, data, err))
		return -1;
	return db_commit(&t, err);
}

static int
fetch(struct state *st, const struct repo_git *g, struct err *err)
{
	static const char *const words[] = { "fetch", "--quiet", "--no-tags",
		"--prune", "--no-recurse-submodules", "--no-write-fetch-head",
		"--no-auto-maintenance", "--upload-pack=git-upload-pack", "--",
		NULL };
	CLEANUP_ARGV struct argv a = ARGV_INIT;

	argv_pushv(&a, words);
	argv_push(&a, g->remote->url);
	argv_push(&a, "+refs/heads/*:refs/remotes/origin/*");
	if (repo_git(g, &a, NULL, err))
		return -1;
	return note(st, "repo.fetched", g->remote, err);
}

/* "ref: refs/heads/main\tHEAD": which branch the others begin from */
static int
default_branch(const struct repo_git *g, struct err *err)
{
	static const char *const words[] = { "ls-remote", "--symref",
		"--upload-pack=git-upload-pack", "--", NULL };
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	char *tab;

	argv_pushv(&a, words);
	argv_push(&a, g->remote->url);
	argv_push(&a, "HEAD");
	if (repo_git(g, &a, &out, err))
		return -1;
	tab = strchr(out.s, '\t');
	if (strncmp(out.s, "ref: refs/heads/", 16) != 0 || !tab)
		return 0; /* empty, or its HEAD is no branch */
	*tab = '\0';
	return repo_set_default(g->door, out.s + 16, err);
}

/* When the last fetch that went well began, ms. */
static int64_t
fetched_at(const char *door)
{
	CLEANUP_FREE char *path = xasprintf("%s/fetched", door);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	int64_t at;

	if (fs_read(AT_FDCWD, path, 64, &b, &err) ||
		parse_i64(b.s, 0, INT64_MAX, "fetched", &at, &err))
		return -1;
	return at;
}

static int
sync_locked(struct state *st, const struct repo_git *g, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/fetched", g->door);
	int64_t began = clock_wall();
	char text[24];

	if (g->remote->kind == REMOTE_FILE && repo_is_current(g))
		return 0;
	if (fetch(st, g, err) ||
		(!repo_has_default(g->door) && default_branch(g, err)))
		return -1;
	(void)snprintf(text, sizeof(text), "%lld", (long long)began);
	return fs_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
}

int
repo_sync(struct state *st, const struct remote *r, const char *identity,
	struct err *err)
{
	CLEANUP_FREE char *path = repo_path(st, r->hash);
	CLEANUP_FREE char *door = repo_door(st, r->hash);
	CLEANUP_CLOSE int lock = -1;
	struct repo_git g = { .st = st, .door = door, .identity = identity,
		.remote = r };
	int64_t asked = clock_wall();

	if (state_lock(st, "repo", r->hash, 0, LOCK_MS, &lock, err) ||
		make(path, r, err) || repo_make_door(door, path, NULL, err))
		return -1;
	/* Who had the lock before us may have fetched since we asked. */
	return fetched_at(door) >= asked ? 0 : sync_locked(st, &g, err);
}
