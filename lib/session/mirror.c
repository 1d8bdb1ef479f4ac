#include "lib/session/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define DEPTH 257 /* forge-vm cp makes no deeper ones */
#define TEMPORARY ".forge-mirror" /* fixed: a killed one leaves one at most */

struct mirror {
	const char *from;
	bool keep_git;
	uid_t uid; /* of to */
	gid_t gid;
	int to[DEPTH]; /* by depth of fts */
	int depth;
};

static bool
is_git(const struct mirror *m, const char *name)
{
	return m->keep_git && !strcasecmp(name, ".git");
}

static int
failed(const char *path, struct err *err)
{
	return err_sys(err, "cannot take '%.300s' over", path);
}

/* ---- the same already? ---- */

static bool
same_bytes(int a, int b)
{
	static char x[65536], y[65536];
	ssize_t n, k;

	do {
		n = read(a, x, sizeof(x));
		for (k = 0; k < n;) {
			ssize_t got = read(b, y + k, (size_t)(n - k));

			if (got <= 0)
				return false;
			k += got;
		}
	} while (n > 0 && !memcmp(x, y, (size_t)n));
	return n == 0;
}

static bool
same_file(const FTSENT *e, int dir)
{
	CLEANUP_CLOSE int a = -1, b = -1;
	struct stat st;

	if (fstatat(dir, e->fts_name, &st, AT_SYMLINK_NOFOLLOW) ||
		!S_ISREG(st.st_mode) || st.st_size != e->fts_statp->st_size ||
		(st.st_mode & 07777) != (e->fts_statp->st_mode & 0777))
		return false;
	a = open(e->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	b = openat(dir, e->fts_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return a >= 0 && b >= 0 && same_bytes(a, b);
}

/* ---- one entry ---- */

static int
own(const struct mirror *m, int dir, const char *name, mode_t mode)
{
	/* Only root has anything to change here. */
	if (!geteuid() && fchownat(dir, name, m->uid, m->gid,
				  AT_SYMLINK_NOFOLLOW))
		return -1;
	return S_ISLNK(mode) ? 0 : fchmodat(dir, name, mode & 0777, 0);
}

static int
copy(const char *from, int dir, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP_CLOSE int out = openat(dir, TEMPORARY,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n = 1;

	if (in < 0 || out < 0)
		return -1;
	while (n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	return n || futimens(out, times) ? -1 : 0;
}

static int
make_link(const char *from, int dir)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	return symlinkat(target, dir, TEMPORARY);
}

static bool
same_link(const char *from, int dir, const char *name)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n = readlink(from, a, sizeof(a));

	return n > 0 && readlinkat(dir, name, b, sizeof(b)) == n &&
		!memcmp(a, b, (size_t)n);
}

/* Under another name, and then in the place of what is there. */
static int
take(const struct mirror *m, const FTSENT *e, struct err *err)
{
	int dir = m->to[e->fts_level - 1];
	const struct stat *st = e->fts_statp;
	struct stat now;
	int rc;

	if (S_ISLNK(st->st_mode) ? same_link(e->fts_accpath, dir, e->fts_name) :
				   same_file(e, dir))
		return 0;
	if (unlinkat(dir, TEMPORARY, 0) && errno != ENOENT)
		return failed(e->fts_path, err);
	if (S_ISLNK(st->st_mode)) {
		rc = make_link(e->fts_accpath, dir);
	} else {
		rc = linkat(AT_FDCWD, e->fts_accpath, dir, TEMPORARY, 0);
		if (rc && errno != ENOENT)
			rc = copy(e->fts_accpath, dir, st);
	}
	if (rc || own(m, dir, TEMPORARY, st->st_mode))
		return failed(e->fts_path, err);
	if (!fstatat(dir, e->fts_name, &now, AT_SYMLINK_NOFOLLOW) &&
		S_ISDIR(now.st_mode) &&
		fs_remove_tree(dir, e->fts_name, err))
		return -1;
	return renameat(dir, TEMPORARY, dir, e->fts_name) ?
		failed(e->fts_path, err) :
		0;
}

/* ---- a directory ---- */

/* What is here and not there goes. */
static int
prune(const struct mirror *m, const FTSENT *e, int dir, struct err *err)
{
	CLEANUP_CLOSE int from = open(e->fts_accpath,
		O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int own_fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);
	struct dirent *entry;
	int rc = from < 0 || !d ? failed(e->fts_path, err) : 0;

	if (d)
		rewinddir(d);
	while (!rc && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
			!is_git(m, name) && !fs_exists(from, name))
			rc = fs_remove_tree(dir, name, err);
	}
	if (d)
		(void)closedir(d); /* read only */
	return rc;
}

static int
enter(struct mirror *m, const FTSENT *e, struct err *err)
{
	int up, fd;

	if (e->fts_level >= DEPTH)
		return err_set(err, ERR_LIMIT,
			"cannot take '%.300s' over: more than %d directories "
			"below one another", e->fts_path, DEPTH - 1);
	if (e->fts_level) {
		up = m->to[e->fts_level - 1];
		if (mkdirat(up, e->fts_name, 0700) && errno != EEXIST)
			return failed(e->fts_path, err);
		fd = openat(up, e->fts_name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		/* a file or a link where a directory is wanted */
		if (fd < 0 && (errno == ENOTDIR || errno == ELOOP) &&
			!unlinkat(up, e->fts_name, 0) &&
			!mkdirat(up, e->fts_name, 0700))
			fd = openat(up, e->fts_name,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC |
					O_NOFOLLOW);
		if (fd < 0 || fchmod(fd, (e->fts_statp->st_mode & 0777) | 0700) ||
			(!geteuid() && fchown(fd, m->uid, m->gid))) {
			cleanup_close(&fd);
			return failed(e->fts_path, err);
		}
		m->to[e->fts_level] = fd;
		m->depth = e->fts_level;
	}
	return prune(m, e, m->to[e->fts_level], err);
}

static int
visit(struct mirror *m, FTS *fts, FTSENT *e, struct err *err)
{
	if (e->fts_level && is_git(m, e->fts_name)) {
		(void)fts_set(fts, e, FTS_SKIP);
		return 0;
	}
	switch (e->fts_info) {
	case FTS_D:
		return enter(m, e, err);
	case FTS_DP:
		if (!e->fts_level)
			return 0;
		m->depth = e->fts_level - 1;
		return close(m->to[e->fts_level]) ? failed(e->fts_path, err) :
						    0;
	case FTS_F:
	case FTS_SL:
	case FTS_SLNONE:
		return take(m, e, err);
	case FTS_DEFAULT:
		return 0; /* a socket, a device: nobody wants it here */
	default:
		errno = e->fts_errno;
		return failed(e->fts_path, err);
	}
}

static int
walk(struct mirror *m, struct err *err)
{
	CLEANUP_FREE char *top = xstrdup(m->from);
	char *const tops[] = { top, NULL };
	FTS *fts = fts_open(tops, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *e;
	int rc = 0;

	if (!fts)
		return failed(m->from, err);
	errno = 0;
	while (!rc && (e = fts_read(fts))) {
		rc = visit(m, fts, e, err);
		errno = 0;
	}
	if (!rc && errno)
		rc = failed(m->from, err);
	while (m->depth > 0)
		(void)close(m->to[m->depth--]); /* a directory */
	(void)fts_close(fts); /* what it read is ours already */
	return rc;
}

int
mirror(const char *from, const char *to, bool keep_git, struct err *err)
{
	CLEANUP_CLOSE int top = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct mirror m = { .from = from, .keep_git = keep_git };
	struct stat st;

	if (top < 0 || fstat(top, &st))
		return err_sys(err, "cannot write '%s'", to);
	m.uid = st.st_uid;
	m.gid = st.st_gid;
	m.to[0] = top;
	return walk(&m, err);
}
