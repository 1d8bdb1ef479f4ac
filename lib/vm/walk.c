/*
 * Compiled into forge-init too, under musl and without lib/base: only libc.
 */
#include "lib/vm/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FULL 32768u /* bytes in out: nothing more is added */

int
walk_name(const char *path, char *ret)
{
	size_t end = strlen(path), start;

	while (end && path[end - 1] == '/')
		end--;
	start = end;
	while (start && path[start - 1] != '/')
		start--;
	if (end - start > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(ret, path + start, end - start);
	ret[end - start] = '\0';
	if (!*ret || !strcmp(ret, ".."))
		memcpy(ret, ".", 2);
	return 0;
}

static void
note(struct walk *w, int e)
{
	w->failed++;
	if (w->note)
		w->note(w->arg, w->path, e);
}

/* ---- files with several names ---- */

struct walk_name {
	struct walk_name *next; /* of all, for their end */
	dev_t dev;
	ino_t ino;
	char path[];
};

static int
compare(const void *a, const void *b)
{
	const struct walk_name *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

/* The path under which the file was sent before, or NULL: it is the first. */
static const char *
earlier(struct walk *w, const struct stat *st)
{
	const struct walk_name wanted = { .dev = st->st_dev, .ino = st->st_ino };
	size_t n = strlen(w->path) + 1;
	struct walk_name *key, *const *found;

	if (st->st_nlink < 2)
		return NULL;
	found = tfind(&wanted, &w->links, compare);
	if (found)
		return (*found)->path;
	key = malloc(sizeof(*key) + n);
	if (!key)
		return NULL; /* sent once more: only larger */
	key->dev = st->st_dev;
	key->ino = st->st_ino;
	memcpy(key->path, w->path, n);
	key->next = w->names;
	w->names = key;
	/* Without room for it: sent once more, too. */
	(void)tsearch(key, &w->links, compare);
	return NULL;
}

static void
forget_links(struct walk *w)
{
	struct walk_name *key;

	while ((key = w->names)) {
		w->names = key->next;
		(void)tdelete(key, &w->links, compare);
		free(key);
	}
}

/* ---- records ---- */

static void
put_piece(struct walk *w, enum pack_piece kind, uint64_t n)
{
	pack_put_piece(kind, n, w->out + w->have);
	w->have += PACK_PIECE;
}

static bool
put_entry(struct walk *w, enum pack_type type, const struct stat *st,
	const char *link)
{
	struct pack_entry e = { .type = type, .mode = st->st_mode & 07777,
		.uid = st->st_uid, .gid = st->st_gid, .mtime = st->st_mtim,
		.major = major(st->st_rdev), .minor = minor(st->st_rdev),
		.size = (uint64_t)st->st_size, .path = w->path,
		.link = link };
	size_t n = pack_put(&e, w->out + w->have);

	if (!n)
		note(w, ENAMETOOLONG);
	w->have += n;
	return n > 0;
}

static void
add_file(struct walk *w, int dir, const char *name)
{
	int fd = openat(dir, name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	const char *before;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		note(w, fd < 0 ? errno : EAGAIN); /* it is another now */
	} else if ((before = earlier(w, &st))) {
		(void)put_entry(w, PACK_HARDLINK, &st, before);
	} else if (put_entry(w, PACK_FILE, &st, "")) {
		w->file = fd;
		w->at = w->data_end = 0;
		w->holes = (off_t)st.st_blocks * 512 < st.st_size;
		return;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void
add_directory(struct walk *w, int dir, const char *name,
	const struct stat *st, size_t npath)
{
	int fd = -1;
	DIR *d;

	if (w->ndirs >= WALK_DEPTH) {
		note(w, ENAMETOOLONG);
		return;
	}
	fd = openat(dir, name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		note(w, errno);
		if (fd >= 0)
			(void)close(fd);
	} else if (put_entry(w, PACK_DIRECTORY, st, "")) {
		w->dirs[w->ndirs++] = (struct walk_dir){ d, npath };
	} else {
		(void)closedir(d);
	}
}

static void
add_symlink(struct walk *w, int dir, const char *name, const struct stat *st)
{
	char target[PACK_PATH_MAX + 1];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n < 0 || n > (ssize_t)PACK_PATH_MAX) {
		note(w, n < 0 ? errno : ENAMETOOLONG);
		return;
	}
	target[n] = '\0';
	(void)put_entry(w, PACK_SYMLINK, st, target);
}

static void
add_special(struct walk *w, const struct stat *st)
{
	if (S_ISSOCK(st->st_mode))
		return;
	if (!(w->flags & WALK_DEVICES)) {
		note(w, ENOTSUP);
		return;
	}
	(void)put_entry(w, S_ISFIFO(st->st_mode) ? PACK_FIFO :
			S_ISCHR(st->st_mode)	 ? PACK_CHAR :
						   PACK_BLOCK,
		st, "");
}

/* w->path is its path; npath of it is what its directory has. */
static void
add(struct walk *w, int dir, const char *name, size_t npath)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		note(w, errno);
	else if (S_ISREG(st.st_mode))
		add_file(w, dir, name);
	else if (S_ISDIR(st.st_mode))
		add_directory(w, dir, name, &st, npath);
	else if (S_ISLNK(st.st_mode))
		add_symlink(w, dir, name, &st);
	else
		add_special(w, &st);
}

/* ---- what comes next ---- */

static void
next_entry(struct walk *w)
{
	struct walk_dir *d = &w->dirs[w->ndirs - 1];
	struct dirent *e = readdir(d->dir);
	size_t n = strlen(w->path), len;

	if (!e) {
		(void)closedir(d->dir);
		w->path[d->npath] = '\0';
		w->ndirs--;
		return;
	}
	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return;
	len = strlen(e->d_name);
	if (n + 1 + len > PACK_PATH_MAX) {
		note(w, ENAMETOOLONG);
		return;
	}
	if (n)
		w->path[n] = '/';
	memcpy(w->path + n + (n > 0), e->d_name, len + 1);
	len = w->ndirs;
	add(w, dirfd(d->dir), e->d_name, n);
	if (w->ndirs == len && w->file < 0) /* nothing more comes of it */
		w->path[n] = '\0';
}

static void
end_file(struct walk *w, int e)
{
	if (e)
		note(w, e);
	put_piece(w, e ? PACK_BROKEN : PACK_WHOLE, 0);
	(void)close(w->file); /* only read */
	w->file = -1;
	/* In a directory, or the one thing asked for. */
	if (w->ndirs) {
		char *slash = strrchr(w->path, '/');

		*(slash ? slash : w->path) = '\0';
	}
}

/* Be where there is data again; false when the rest is a hole. */
static bool
skip_hole(struct walk *w)
{
	off_t data = lseek(w->file, w->at, SEEK_DATA), end;

	if (data < 0 && errno != ENXIO) { /* it does not know holes */
		w->holes = false;
		return lseek(w->file, w->at, SEEK_SET) >= 0;
	}
	end = data < 0 ? lseek(w->file, 0, SEEK_END) : data;
	if (end > w->at)
		put_piece(w, PACK_HOLE, (uint64_t)(end - w->at));
	w->at = end;
	if (data < 0)
		return false;
	w->data_end = lseek(w->file, data, SEEK_HOLE);
	return lseek(w->file, data, SEEK_SET) >= 0;
}

static void
next_piece(struct walk *w)
{
	/* Room for a hole before it and the end behind it. */
	size_t want = sizeof(w->out) - w->have - 3 * PACK_PIECE;
	ssize_t n;

	if (w->holes && w->at >= w->data_end && !skip_hole(w)) {
		end_file(w, 0);
		return;
	}
	if (w->holes && w->data_end - w->at < (off_t)want)
		want = (size_t)(w->data_end - w->at);
	do
		n = read(w->file, w->out + w->have + PACK_PIECE, want);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		end_file(w, n < 0 ? errno : 0);
		return;
	}
	put_piece(w, PACK_DATA, (uint64_t)n);
	w->have += (size_t)n;
	w->at += n;
}

/* Something more into out, which has room for any one step. */
static void
step(struct walk *w)
{
	if (w->file >= 0) {
		next_piece(w);
	} else if (w->start >= 0) {
		size_t n = strlen(w->name);

		memcpy(w->path, w->name, n + 1);
		add(w, w->start, w->name, 0);
		(void)close(w->start); /* only a way in */
		w->start = -1;
	} else if (w->ndirs) {
		next_entry(w);
	} else {
		struct pack_entry e = { .type = PACK_END, .path = "",
			.link = "" };

		w->have += pack_put(&e, w->out + w->have);
		w->ended = true;
	}
}

size_t
walk_read(struct walk *w, void *p, size_t n)
{
	if (w->sent == w->have) {
		w->sent = w->have = 0;
		while (!w->ended && w->have < FULL)
			step(w);
	}
	if (n > w->have - w->sent)
		n = w->have - w->sent;
	memcpy(p, w->out + w->sent, n);
	w->sent += n;
	return n;
}

/* ---- beginning and end ---- */

/* Of "/a/b" it is "/a", of "b" ".". */
static int
open_parent(const char *path, size_t n)
{
	char *parent;
	int fd;

	while (n && path[n - 1] == '/')
		n--;
	while (n && path[n - 1] != '/')
		n--;
	if (!n)
		return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	parent = strndup(path, n);
	if (!parent)
		return -1;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	return fd;
}

/* The content alone: as if we were in that directory already. */
static int
open_content(struct walk *w, const char *path)
{
	DIR *d = opendir(path);

	if (!d)
		return -1;
	w->dirs[w->ndirs++] = (struct walk_dir){ d, 0 };
	return 0;
}

int
walk_open(struct walk *w, const char *path, unsigned flags)
{
	struct stat st;

	w->flags = flags;
	w->note = NULL;
	w->failed = 0;
	w->ndirs = w->sent = w->have = 0;
	w->start = w->file = -1;
	w->ended = false;
	w->links = NULL;
	w->names = NULL;
	w->path[0] = '\0';
	if (!*path) {
		errno = ENOENT;
		return -1;
	}
	if (walk_name(path, w->name))
		return -1;
	if (!strcmp(w->name, "."))
		return open_content(w, path);
	w->start = open_parent(path, strlen(path));
	if (w->start < 0)
		return -1;
	/* "x/" is a directory, perhaps behind a link: said now, not later. */
	if (!(path[strlen(path) - 1] == '/' ? stat(path, &st) :
					      fstatat(w->start, w->name, &st,
						      AT_SYMLINK_NOFOLLOW)))
		return 0;
	walk_close(w);
	return -1;
}

void
walk_close(struct walk *w)
{
	int saved = errno;

	if (w->start >= 0)
		(void)close(w->start);
	if (w->file >= 0)
		(void)close(w->file);
	while (w->ndirs)
		(void)closedir(w->dirs[--w->ndirs].dir);
	forget_links(w);
	errno = saved;
}
