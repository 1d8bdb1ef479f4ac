/*
 * Compiled into forge-init too, under musl and without lib/base: only libc.
 */
#include "lib/vm/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/vm/tree_file.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

static int
fail(int e)
{
	errno = e;
	return -1;
}

/* ---- directories, as deep as we are ---- */

static uint32_t
mode_of(const struct tree *t, const struct pack_entry *e)
{
	return e->mode & (t->flags & TREE_SETID ? 07777 : 01777);
}

int
tree_attributes(const struct tree *t, int fd, const struct pack_entry *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, e->mtime };

	/* chown first: it clears what chmod sets. */
	if ((t->flags & TREE_OWNERS && fchown(fd, e->uid, e->gid)) ||
		fchmod(fd, mode_of(t, e)) || futimens(fd, times))
		return -1;
	return 0;
}

static int
leave(struct tree *t)
{
	struct tree_dir *d = &t->dirs[--t->ndirs];
	int rc = d->settle ? tree_attributes(t, d->fd, &d->entry) : 0;

	if (rc && errno == EPERM && !(t->flags & TREE_OWNERS))
		rc = 0; /* a directory of somebody else, filled by us */
	(void)close(d->fd); /* only read */
	free(d->name);
	return rc;
}

static int
enter(struct tree *t, const char *name, bool make)
{
	struct tree_dir *d = &t->dirs[t->ndirs];
	int top = t->dirs[t->ndirs - 1].fd;

	if (t->ndirs > TREE_DEPTH)
		return fail(ENAMETOOLONG);
	*d = (struct tree_dir){ .fd = openat(top, name, OPEN_DIR | O_CLOEXEC) };
	if (d->fd < 0 && errno == ENOENT && make && !mkdirat(top, name, 0755))
		d->fd = openat(top, name, OPEN_DIR | O_CLOEXEC);
	if (d->fd < 0)
		return errno == ELOOP ? fail(ENOTDIR) : -1;
	d->name = strdup(name);
	if (!d->name) {
		(void)close(d->fd);
		return -1;
	}
	t->ndirs++;
	return 0;
}

/*
 * The next name of *path, NULL at its end, with errno 0 or what is wrong with
 * it.  "." and empty names are passed over.
 */
static const char *
next_name(const char **path, char *name)
{
	size_t n;

	errno = 0;
	do {
		*path += strspn(*path, "/");
		n = strcspn(*path, "/");
		if (!n)
			return NULL;
		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
			return NULL;
		}
		memcpy(name, *path, n);
		name[n] = '\0';
		*path += n;
	} while (!strcmp(name, "."));
	if (!strcmp(name, "..")) {
		errno = EPERM;
		return NULL;
	}
	return name;
}

/* The first name of all: is it the one that was asked for? */
static int
rename_top(const struct tree *t, char *name)
{
	if (!t->top[0])
		return 0;
	if (strcmp(name, t->top) != 0)
		return fail(EPERM);
	memcpy(name, t->as, strlen(t->as) + 1);
	return 0;
}

int
tree_check(const char *path, const char *top)
{
	char name[NAME_MAX + 1];
	bool any = !strcmp(top, ".");

	if (*path == '/')
		return fail(EPERM);
	while (next_name(&path, name)) {
		if (!any && strcmp(name, top) != 0)
			return fail(EPERM);
		any = true;
	}
	return errno ? -1 : 0;
}

/*
 * Be in the directory of path, made where missing; its last name goes to ret
 * ("" when path is the root).
 */
static int
go_to(struct tree *t, const char *path, char *ret)
{
	char name[NAME_MAX + 1], next[NAME_MAX + 1];
	size_t depth = 1;

	*ret = '\0';
	if (*path == '/')
		return fail(EPERM);
	if (!next_name(&path, name))
		return errno ? -1 : 0;
	if (rename_top(t, name))
		return -1;
	while (next_name(&path, next)) {
		if (depth < t->ndirs &&
			strcmp(t->dirs[depth].name, name) != 0)
			while (t->ndirs > depth)
				if (leave(t))
					return -1;
		if (depth == t->ndirs && enter(t, name, true))
			return -1;
		depth++;
		memcpy(name, next, sizeof(name));
	}
	if (errno)
		return -1;
	/* The directory that this entry itself is may still be open. */
	while (t->ndirs > depth)
		if (leave(t))
			return -1;
	memcpy(ret, name, sizeof(name));
	return 0;
}

int
tree_dirfd(const struct tree *t)
{
	return t->dirs[t->ndirs - 1].fd;
}

/* ---- entries without content ---- */

static int
add_directory(struct tree *t, const char *name, const struct pack_entry *e)
{
	struct tree_dir *d;

	if (!*name)
		return 0; /* the root itself is the caller's */
	if (mkdirat(tree_dirfd(t), name, 0700) && errno != EEXIST)
		return -1;
	if (enter(t, name, false))
		return -1;
	d = &t->dirs[t->ndirs - 1];
	d->settle = true;
	d->entry = *e;
	return 0;
}

/* name, made as temporary, takes its place. */
int
tree_publish(const struct tree *t, const char *temporary, const char *name)
{
	int e, fd = tree_dirfd(t);

	if (!renameat(fd, temporary, fd, name)) {
		/* Of two names of one file rename removes neither. */
		(void)unlinkat(fd, temporary, 0);
		return 0;
	}
	e = errno;
	(void)unlinkat(fd, temporary, 0);
	return fail(e);
}

int
tree_temporary(char *ret, size_t size)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -1;
	(void)snprintf(ret, size, ".forge-cp-%016llx",
		(unsigned long long)r);
	return 0;
}

static int
add_symlink(struct tree *t, const char *name, const struct pack_entry *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, e->mtime };
	int fd = tree_dirfd(t);
	char temporary[40];

	if (tree_temporary(temporary, sizeof(temporary)) ||
		symlinkat(e->link, fd, temporary))
		return -1;
	if ((t->flags & TREE_OWNERS && fchownat(fd, temporary, e->uid, e->gid,
					       AT_SYMLINK_NOFOLLOW)) ||
		utimensat(fd, temporary, times, AT_SYMLINK_NOFOLLOW)) {
		int saved = errno;

		(void)unlinkat(fd, temporary, 0);
		return fail(saved);
	}
	return tree_publish(t, temporary, name);
}

/* The directory of an earlier entry, without leaving where we are. */
static int
open_parent(const struct tree *t, const char *path, char *ret_name)
{
	char next[NAME_MAX + 1];
	int fd = fcntl(t->dirs[0].fd, F_DUPFD_CLOEXEC, 3), below;

	if (fd < 0)
		return -1;
	if (!next_name(&path, ret_name) || rename_top(t, ret_name)) {
		(void)close(fd);
		return fail(EPERM);
	}
	while (next_name(&path, next)) {
		below = openat(fd, ret_name, OPEN_DIR | O_CLOEXEC);
		(void)close(fd);
		if (below < 0)
			return -1;
		fd = below;
		memcpy(ret_name, next, sizeof(next));
	}
	return fd;
}

static int
add_hardlink(struct tree *t, const char *name, const struct pack_entry *e)
{
	char from[NAME_MAX + 1], temporary[40];
	int fd, rc, saved;

	if (tree_check(e->link, t->top[0] ? t->top : "."))
		return -1;
	fd = open_parent(t, e->link, from);
	if (fd < 0)
		return -1;
	rc = tree_temporary(temporary, sizeof(temporary)) ||
			linkat(fd, from, tree_dirfd(t), temporary, 0) ?
		-1 :
		tree_publish(t, temporary, name);
	saved = errno;
	(void)close(fd);
	return rc ? fail(saved) : 0;
}

static int
add_special(struct tree *t, const char *name, const struct pack_entry *e)
{
	mode_t mode = mode_of(t, e) & 0777;
	int fd = tree_dirfd(t);
	char temporary[40];

	if (!(t->flags & TREE_DEVICES)) {
		t->skipped++;
		return 0;
	}
	mode |= e->type == PACK_FIFO ? S_IFIFO :
		e->type == PACK_CHAR ? S_IFCHR :
				       S_IFBLK;
	if (tree_temporary(temporary, sizeof(temporary)) ||
		mknodat(fd, temporary, mode, makedev(e->major, e->minor)))
		return -1;
	/* umask */
	if (fchmodat(fd, temporary, mode & 0777, 0) ||
		(t->flags & TREE_OWNERS && fchownat(fd, temporary, e->uid,
					       e->gid, AT_SYMLINK_NOFOLLOW)))
		(void)0; /* as good as it gets; it is ours then */
	return tree_publish(t, temporary, name);
}

static int
tree_entry(void *arg, const struct pack_entry *e)
{
	struct tree *t = arg;
	char name[NAME_MAX + 1];

	(void)snprintf(t->at, sizeof(t->at), "%s", e->path);
	if (go_to(t, e->path, name))
		return -1;
	if (e->type == PACK_DIRECTORY)
		return add_directory(t, name, e);
	if (!*name)
		return fail(EISDIR);
	switch (e->type) {
	case PACK_FILE:
		return tree_file_begin(t, name, e);
	case PACK_SYMLINK:
		return add_symlink(t, name, e);
	case PACK_HARDLINK:
		return add_hardlink(t, name, e);
	case PACK_FIFO:
	case PACK_CHAR:
	case PACK_BLOCK:
		return add_special(t, name, e);
	case PACK_END:
	case PACK_DIRECTORY:
	case PACK_TYPE__MAX:
		break;
	}
	return fail(EPROTO);
}

const struct pack_sink tree_sink = { tree_entry, tree_file_data,
	tree_file_close };

/* ---- beginning and end ---- */

static int
begin(struct tree *t, int fd, const char *top, const char *as)
{
	if (fd < 0)
		return -1;
	if (strlen(top) > NAME_MAX || strlen(as) > NAME_MAX) {
		(void)close(fd);
		return fail(ENAMETOOLONG);
	}
	memcpy(t->top, top, strlen(top) + 1);
	memcpy(t->as, as, strlen(as) + 1);
	t->dirs[0] = (struct tree_dir){ .fd = fd };
	t->ndirs = 1;
	return 0;
}

/* dst is a name that is not there, or a file: its directory and last name. */
static int
begin_parent(struct tree *t, const char *dst, const char *name)
{
	const char *slash = strrchr(dst, '/');
	char *parent;
	int rc;

	if (!*dst || (slash && !slash[1]))
		return fail(ENOENT); /* "x/" says that x is a directory */
	if (!slash)
		return begin(t, open(".", OPEN_DIR | O_CLOEXEC), name, dst);
	parent = strndup(dst, slash == dst ? 1 : (size_t)(slash - dst));
	if (!parent)
		return -1;
	rc = begin(t, open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), name, slash + 1);
	free(parent);
	return rc;
}

int
tree_target(const char *dst, const char *name, unsigned flags,
	struct tree *ret)
{
	int fd;

	memset(ret, 0, sizeof(*ret));
	ret->flags = flags;
	ret->file = -1;
	fd = open(dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!strcmp(name, ".")) {
		if (fd < 0 && errno == ENOENT && !mkdir(dst, 0755))
			fd = open(dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return begin(ret, fd, "", "");
	}
	if (fd >= 0)
		return begin(ret, fd, name, name);
	return errno == ENOENT || errno == ENOTDIR ?
		begin_parent(ret, dst, name) :
		-1;
}

int
tree_finish(struct tree *t)
{
	while (t->ndirs > 1)
		if (leave(t))
			return -1;
	return 0;
}

void
tree_release(struct tree *t)
{
	tree_file_abandon(t);
	while (t->ndirs) {
		t->dirs[t->ndirs - 1].settle = false;
		(void)leave(t); /* only closes */
	}
}
