#include "lib/runner/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/runner/delivery.h"
#include "lib/base/banned.h"

bool
spool_word(const char *s)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t n = strlen(s);

	return n && n <= 64 && strspn(s, good) == n;
}

static int
write_content(int fd, const char *path, const struct delivery *d,
	struct err *err)
{
	CLEANUP_BUF struct buf head = BUF_INIT;

	buf_addf(&head, "%s\n%s\n%s\n%s\n%" PRId64 "\n%zu\n", SPOOL_MAGIC,
		d->guid, d->event, d->hook ? d->hook : "", d->received_at,
		d->n);
	if (write_all(fd, head.s, head.len) || write_all(fd, d->body, d->n))
		return err_sys(err, "cannot write '%s'", path);
	return 0;
}

/*
 * A file without a name gets one when it is whole, and then both are synced
 * together: one flush of the disk, where a rename needs two.
 */
static int
write_nameless(int fd, int dir, const char *path, const struct delivery *d,
	struct err *err)
{
	CLEANUP_FREE char *self = xasprintf("/proc/self/fd/%d", fd);

	if (write_content(fd, path, d, err))
		return -1;
	if (linkat(AT_FDCWD, self, dir, path, AT_SYMLINK_FOLLOW))
		return err_sys(err, "cannot make '%s'", path);
	if (fsync(fd)) {
		(void)err_sys(err, "cannot write '%s'", path);
		(void)unlinkat(dir, path, 0); /* it was not acknowledged */
		return -1;
	}
	return 0;
}

/* As a maildir does it, where the file system has no nameless files. */
static int
write_renamed(int dir, const char *path, const char *tmp,
	const struct delivery *d, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dir, tmp,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot make '%s'", tmp);
	if (write_content(fd, tmp, d, err))
		goto fail;
	if (fsync(fd) || renameat(dir, tmp, dir, path)) {
		(void)err_sys(err, "cannot write '%s'", path);
		goto fail;
	}
	return 0;
fail:
	(void)unlinkat(dir, tmp, 0); /* else it goes after an hour */
	return -1;
}

static int
make_dirs(int dir, struct err *err)
{
	return fs_mkdirs(dir, "spool/tmp", 0700, err) ||
		fs_mkdirs(dir, "spool/new", 0700, err) ||
		fs_sync_dir(dir, "spool", err) || fs_sync_dir(dir, ".", err) ?
		-1 : 0;
}

static int
open_nameless(int dir)
{
	return openat(dir, "spool/new", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

int
spool_write(int dir, const struct delivery *d, struct err *err)
{
	CLEANUP_FREE char *suffix = random_name(12), *tmp = NULL, *to = NULL;
	CLEANUP_CLOSE int fd = open_nameless(dir);
	int rc;

	if (fd < 0 && errno == ENOENT) {
		if (make_dirs(dir, err))
			return -1;
		fd = open_nameless(dir);
	}
	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR)
		return err_sys(err, "cannot make a file in 'spool/new'");
	tmp = xasprintf("spool/tmp/%013" PRId64 ".%s", d->received_at, suffix);
	to = xasprintf("spool/new/%013" PRId64 ".%s", d->received_at, suffix);
	rc = fd >= 0 ? write_nameless(fd, dir, to, d, err) :
		write_renamed(dir, to, tmp, d, err);
	return rc ? -1 : fs_sync_dir(dir, "spool/new", err);
}
