#include "lib/base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
write_all(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n) {
		ssize_t k = write(fd, s, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		s += k;
		n -= (size_t)k;
	}
	return 0;
}

int
fs_read(int dirfd, const char *path, size_t max, struct buf *ret,
	struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dirfd, path,
		O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	return buf_read_fd(ret, fd, max, path, err);
}

/* The directory part of path, "." when there is none; caller frees. */
static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") :
			       xstrndup(path, (size_t)(slash - path));
}

int
fs_sync_dir(int dirfd, const char *path, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dirfd, path,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "cannot open directory '%s'", path);
	if (fsync(fd))
		return err_sys(err, "cannot sync directory '%s'", path);
	return 0;
}

static int
write_new(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
	struct err *err)
{
	int fd = openat(dirfd, path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int bad;

	if (fd < 0)
		return err_sys(err, "cannot create '%s'", path);
	bad = write_all(fd, p, n) || fchmod(fd, mode) || fsync(fd);
	if (bad) {
		(void)err_sys(err, "cannot write '%s'", path);
		(void)close(fd); /* the first error is the one to tell */
		return -1;
	}
	if (close(fd))
		return err_sys(err, "cannot write '%s'", path);
	return 0;
}

int
fs_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
	struct err *err)
{
	CLEANUP_FREE char *dir = dir_of(path);
	CLEANUP_FREE char *suffix = random_name(8);
	CLEANUP_FREE char *tmp = xasprintf("%s/.tmp-%s", dir, suffix);

	if (write_new(dirfd, tmp, p, n, mode, err)) {
		(void)unlinkat(dirfd, tmp, 0); /* may not exist */
		return err_wrap(err, "'%s'", path);
	}
	if (renameat(dirfd, tmp, dirfd, path)) {
		(void)err_sys(err, "cannot rename to '%s'", path);
		(void)unlinkat(dirfd, tmp, 0); /* the error is told already */
		return -1;
	}
	return fs_sync_dir(dirfd, dir, err);
}

int
fs_mkdirs(int dirfd, const char *path, mode_t mode, struct err *err)
{
	CLEANUP_FREE char *part = xstrdup(path);
	char *p = part;

	for (;;) {
		p += strspn(p, "/");
		p += strcspn(p, "/");
		char c = *p;
		*p = '\0';
		if (mkdirat(dirfd, part, mode) && errno != EEXIST)
			return err_sys(err, "cannot make directory '%s'",
				part);
		if (!c)
			return 0;
		*p = c;
	}
}

static int remove_below(int parent, const char *name, int depth);

static int
remove_entries(DIR *d, int depth)
{
	struct dirent *e;

	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (remove_below(dirfd(d), e->d_name, depth + 1))
			return -1;
	}
	return 0;
}

/* Recursion ends at 512: a deeper tree was made to hurt. */
static int
remove_below(int parent, const char *name, int depth)
{
	DIR *d;
	int fd, rc;

	if (!unlinkat(parent, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (depth > 512) {
		errno = ELOOP;
		return -1;
	}
	fd = openat(parent, name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd); /* nothing was written */
		return -1;
	}
	rc = remove_entries(d, depth);
	(void)closedir(d); /* read only */
	return rc ? rc : unlinkat(parent, name, AT_REMOVEDIR);
}

int
fs_remove_tree(int dirfd, const char *path, struct err *err)
{
	if (remove_below(dirfd, path, 0) && errno != ENOENT)
		return err_sys(err, "cannot remove '%s'", path);
	return 0;
}

bool
fs_exists(int dirfd, const char *path)
{
	return !faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

bool
fs_executable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

char *
fs_which(const char *name)
{
	const char *path = getenv("PATH");

	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");
		CLEANUP_FREE char *full = xasprintf("%.*s/%s", (int)n, path,
			name);

		if (n && fs_executable(full))
			return steal_ptr(&full);
		path += n;
		path += *path == ':';
	}
	return NULL;
}
