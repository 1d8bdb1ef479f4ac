#include "lib/state/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/notify.h"
#include "lib/base/banned.h"

struct state {
	int fd;
	char *path;
	struct db *db; /* NULL until asked for */
	struct config *config; /* likewise */
};

/* Where the state is, not yet absolute; caller frees. */
static int
choose_path(char **ret, struct err *err)
{
	const char *s;

	if (common.state && *common.state)
		*ret = xstrdup(common.state);
	else if ((s = getenv("FORGE_STATE")) && *s)
		*ret = xstrdup(s);
	else if (!geteuid())
		*ret = xstrdup("/var/lib/forge");
	else if ((s = getenv("XDG_STATE_HOME")) && *s == '/')
		*ret = xasprintf("%s/forge", s);
	else if ((s = getenv("HOME")) && *s == '/')
		*ret = xasprintf("%s/.local/state/forge", s);
	else
		return err_set(err, ERR_USAGE,
			"no place for the state: give -C DIR, or set "
			"$FORGE_STATE or $HOME");
	return 0;
}

/* The directory's real path, made when it is missing. */
static int
make_dir(const char *path, char **ret, struct err *err)
{
	*ret = realpath(path, NULL);
	if (*ret)
		return 0;
	if (errno != ENOENT)
		return err_sys(err, "cannot open state directory '%s'", path);
	if (fs_mkdirs(AT_FDCWD, path, 0700, err))
		return err_wrap(err, "state");
	*ret = realpath(path, NULL);
	return *ret ? 0 : err_sys(err, "cannot open state directory '%s'",
		path);
}

static int
check_owner(int fd, const char *path, struct err *err)
{
	struct stat s;

	if (fstat(fd, &s))
		return err_sys(err, "cannot stat '%s'", path);
	if (s.st_uid != geteuid())
		return err_set(err, ERR_SYS,
			"state directory '%s' belongs to user %u, not to us "
			"(%u): choose another with -C or $FORGE_STATE",
			path, (unsigned)s.st_uid, (unsigned)geteuid());
	if (s.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_SYS,
			"others may write to state directory '%s': run chmod "
			"go-w on it",
			path);
	return 0;
}

/* What a state directory may hold before its database is made. */
static bool
is_ours(const char *name)
{
	static const char *const names[] = { "config", "run", "cache", "image",
		"vm", "runner", "session", "providers", "spool",
		"secret.key" };
	size_t i;

	/* The database itself: another first user makes it just now. */
	if (*name == '.' || !strncmp(name, "forge.db", 8))
		return true;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/*
 * `-C /etc` by mistake must not fill /etc: a directory without a database
 * holds nothing but what may be there before it.
 */
static int
check_content(int fd, const char *path, struct err *err)
{
	int copy, rc = 0;
	struct dirent *e;
	DIR *d;

	if (fs_exists(fd, "forge.db"))
		return 0;
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		cleanup_close(&copy);
		return err_sys(err, "cannot read '%s'", path);
	}
	while (!rc && (e = readdir(d)))
		if (!is_ours(e->d_name))
			rc = err_set(err, ERR_SCHEMA,
				"'%s' is no state directory: it has no "
				"forge.db, but '%.80s'", path, e->d_name);
	(void)closedir(d); /* read only */
	return rc;
}

int
state_open(struct state **ret, struct err *err)
{
	CLEANUP_FREE char *wanted = NULL, *path = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct state *st;

	if (choose_path(&wanted, err) || make_dir(wanted, &path, err))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open state directory '%s'", path);
	if (check_owner(fd, path, err) || check_content(fd, path, err))
		return -1;
	if (setenv("FORGE_STATE", path, 1))
		return err_sys(err, "cannot set $FORGE_STATE");
	st = xcalloc(1, sizeof(*st));
	st->fd = steal_fd(&fd);
	st->path = steal_ptr(&path);
	*ret = st;
	return 0;
}

void
state_close(struct state *st)
{
	if (!st)
		return;
	db_close(st->db);
	config_close(st->config);
	(void)close(st->fd); /* a directory */
	free(st->path);
	free(st);
}

void
cleanup_state(struct state **st)
{
	state_close(*st);
}

int
state_dir(const struct state *st)
{
	return st->fd;
}

const char *
state_path(const struct state *st)
{
	return st->path;
}

int
notify_make(struct state *st, struct err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	CLEANUP_CLOSE int fd = openat(st->fd, NOTIFY_PATH, flags, 0600);

	if (fd >= 0)
		return 0;
	if (errno == ENOENT && fs_mkdirs(st->fd, "run", 0700, err))
		return err_wrap(err, "'%s'", st->path);
	fd = openat(st->fd, NOTIFY_PATH, flags, 0600);
	return fd >= 0 ? 0 : err_sys(err, "cannot create '%s/%s'", st->path,
		NOTIFY_PATH);
}

int
state_db(struct state *st, struct db **ret, struct err *err)
{
	CLEANUP_FREE char *path = NULL;

	if (!st->db) {
		path = xasprintf("%s/forge.db", st->path);
		if (!fs_exists(st->fd, NOTIFY_PATH) && notify_make(st, err))
			return -1;
		if (db_open(path, &st->db, err))
			return -1;
		db_set_notify(st->db, st->fd, NOTIFY_PATH);
	}
	*ret = st->db;
	return 0;
}

int
state_config(struct state *st, struct config **ret, struct err *err)
{
	if (!st->config && config_open(st->fd, st->path, &st->config, err))
		return -1;
	*ret = st->config;
	return 0;
}

static int
lock_path(const char *kind, const char *name, char **ret, struct err *err)
{
	if (!name) {
		*ret = xasprintf("run/%s", kind);
		return 0;
	}
	/* It becomes a path: no slash may come in with it. */
	if (parse_name(name, kind, err))
		return -1;
	*ret = xasprintf("run/%s/%s", kind, name);
	return 0;
}

int
state_lock(struct state *st, const char *kind, const char *name,
	unsigned flags, int64_t wait_ms, int *ret_fd, struct err *err)
{
	CLEANUP_FREE char *path = NULL, *dir = NULL;
	struct err first = ERR_INIT;

	if (lock_path(kind, name, &path, err))
		return -1;
	if (!lock_take(st->fd, path, flags, wait_ms, ret_fd, &first))
		return 0;
	if (first.sys != ENOENT) {
		*err = first;
		return -1;
	}
	dir = name ? xasprintf("run/%s", kind) : xstrdup("run");
	if (fs_mkdirs(st->fd, dir, 0700, err))
		return -1;
	return lock_take(st->fd, path, flags, wait_ms, ret_fd, err);
}

int
state_locked(struct state *st, const char *kind, const char *name,
	struct err *err)
{
	CLEANUP_FREE char *path = NULL;

	if (lock_path(kind, name, &path, err))
		return -1;
	return lock_held(st->fd, path, err);
}
