/*
 * What of the root is not the image's.  The image may have put a link where a
 * directory is wanted, and the host is still there to be pointed to: paths are
 * resolved as if root were all.
 */
#include "drivers/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define INIT STAGE "/run/" STAGE_INIT

static int
open_below(int root, const char *name)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
}

/* -1 with err. */
static int
directory(int root, const char *name, struct err *err)
{
	int fd = open_below(root, name);

	if (fd < 0 && errno == ENOENT && !mkdirat(root, name, 0755))
		fd = open_below(root, name);
	return fd < 0 ? err_sys(err, "the image's /%s is no directory", name) :
			fd;
}

static int
mount_at(int dir, const char *name, const char *source, const char *type,
	unsigned long flags, const char *data, struct err *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d%s%s", dir,
		*name ? "/" : "", name);
	return mount(source, path, type, flags, data) ?
		err_sys(err, "cannot mount %s", source ? source : path) :
		0;
}

/* ---- /dev ---- */

static int
add_devices(int dev, struct err *err)
{
	static const char *const devices[] = { "null", "zero", "full",
		"random", "urandom", "tty" };
	char source[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		(void)snprintf(source, sizeof(source), "/dev/%s", devices[i]);
		if (mknodat(dev, devices[i], S_IFREG | 0444, 0))
			return err_sys(err, "cannot make %s", source);
		if (mount_at(dev, devices[i], source, NULL, MS_BIND, NULL,
			    err))
			return -1;
	}
	return 0;
}

static int
add_links(int dev, struct err *err)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" },
		{ "/proc/self/fd/2", "stderr" },
		{ "/proc/self/fd", "fd" },
		{ "/proc/kcore", "core" },
		{ "pts/ptmx", "ptmx" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]))
			return err_sys(err, "cannot make /dev/%s", links[i][1]);
	return 0;
}

static int
fill_dev(int root, struct err *err)
{
	CLEANUP_CLOSE int under = directory(root, "dev", err);
	CLEANUP_CLOSE int dev = -1;

	if (under < 0 || mount_at(under, "", "tmpfs", "tmpfs",
				 MS_NOSUID | MS_NODEV | MS_NOEXEC,
				 "mode=755", err))
		return -1;
	dev = open_below(root, "dev"); /* the mount */
	if (dev < 0 || mkdirat(dev, "shm", 0755) || mkdirat(dev, "pts", 0755))
		return err_sys(err, "cannot fill /dev");
	return add_devices(dev, err) || add_links(dev, err) ||
			mount_at(dev, "pts", "devpts", "devpts",
				MS_NOSUID | MS_NOEXEC,
				"newinstance,ptmxmode=0666,mode=620", err) ||
			mount_at(dev, "shm", STAGE "/shm", NULL, MS_BIND, NULL,
				err) ||
			mount_at(dev, "", NULL, NULL,
				MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID |
					MS_NODEV | MS_NOEXEC,
				NULL, err) ?
		-1 :
		0;
}

/* ---- the rest ---- */

static int
put_init(int init, struct err *err)
{
	CLEANUP_CLOSE int fd = open(INIT, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		0755);
	struct stat sb;
	off_t at = 0;

	if (fd < 0 || fstat(init, &sb) || fchmod(fd, 0755))
		return err_sys(err, "cannot make " INIT);
	while (at < sb.st_size)
		if (sendfile(fd, init, &at, (size_t)(sb.st_size - at)) <= 0)
			return err_sys(err, "cannot write " INIT);
	/* A mount of its own: not to be written, nor removed. */
	if (mount(INIT, INIT, NULL, MS_BIND, NULL) ||
		mount(NULL, INIT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY |
				MS_NOSUID | MS_NODEV, NULL))
		return err_sys(err, "cannot mount " INIT);
	return 0;
}

static int
put_directory(int root, const char *name, const char *source, struct err *err)
{
	CLEANUP_CLOSE int fd = directory(root, name, err);

	return fd < 0 ? -1 :
			mount_at(fd, "", source, NULL, MS_BIND | MS_REC, NULL,
				err);
}

int
stage_fill(int init, struct err *err)
{
	CLEANUP_CLOSE int root = open(STAGE "/root",
		O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_sys(err, "cannot open " STAGE "/root");
	return put_init(init, err) || fill_dev(root, err) ||
			put_directory(root, "tmp", STAGE "/tmp", err) ||
			put_directory(root, "run", STAGE "/run", err) ?
		-1 :
		0;
}
