#include "lib/vm/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/vm/seed.h"
#include "lib/base/banned.h"

#define TOOL_TIMEOUT 60000 /* ms */

bool
disks_overlay(const struct disk_spec *s)
{
	return s->size || s->base;
}

bool
disks_any(const struct disk_spec *s)
{
	return disks_overlay(s) || s->user_data;
}

static int
need_file(const char *option, const char *path, struct err *err)
{
	struct stat sb;

	if (stat(path, &sb))
		return err_sys(err, "%s '%s'", option, path);
	return S_ISREG(sb.st_mode) ? 0 :
		err_set(err, ERR_USAGE, "%s '%s': not a file", option, path);
}

int
disks_check(const struct disk_spec *s, struct err *err)
{
	CLEANUP_FREE char *mkfs = s->size ? fs_which("mkfs.ext4") : NULL;

	if (s->size && s->base)
		return err_set(err, ERR_USAGE,
			"--disk and --disk-base: a disk is new, or a clone");
	if (s->size && !mkfs)
		return err_set(err, ERR_NOTFOUND,
			"no 'mkfs.ext4' in PATH: apt-get install e2fsprogs");
	if (s->base && need_file("--disk-base", s->base, err))
		return -1;
	return s->user_data ? seed_check(s->user_data, err) : 0;
}

/* ---- a new one ---- */

/* Without a journal: what matters of it ends with the VM. */
static int
make_new(const char *path, int64_t size, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int fd = open(path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size))
		return err_sys(err, "cannot make '%s'", path);
	argv_pushv(&p.argv, (const char *[]){ "mkfs.ext4", "-q", "-F", "-m",
			      "0", "-O", "^has_journal,^resize_inode", "-E",
			      "lazy_itable_init=1,nodiscard", path, NULL });
	return proc_run(&p, NULL, NULL, 0, TOOL_TIMEOUT, err);
}

/* ---- a clone ---- */

/* 1: not on this file system. */
static int
reflink(int from, const char *path, struct err *err)
{
	CLEANUP_CLOSE int fd = open(path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot make '%s'", path);
	if (!ioctl(fd, FICLONE, from))
		return 0;
	if (unlink(path))
		return err_sys(err, "cannot remove '%s'", path);
	return 1;
}

/* 1: qemu-img is not here. */
static int
backing(const char *base, const char *path, struct err *err)
{
	CLEANUP_FREE char *tool = fs_which("qemu-img");
	CLEANUP_FREE char *real = realpath(base, NULL);
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (!tool)
		return 1;
	if (!real)
		return err_sys(err, "cannot find '%s'", base);
	argv_pushv(&p.argv, (const char *[]){ tool, "create", "-q", "-f",
			      "qcow2", "-F", "raw", "-b", real, path, NULL });
	return proc_run(&p, NULL, NULL, 0, TOOL_TIMEOUT, err) ? -1 : 0;
}

static int
copy_part(int from, int to, off_t at, off_t end)
{
	off_t in = at, out = at;
	ssize_t n;

	while (in < end) {
		n = copy_file_range(from, &in, to, &out, (size_t)(end - in), 0);
		if (n <= 0)
			return -1;
	}
	return 0;
}

static int
copy(int from, const char *path, struct err *err)
{
	CLEANUP_CLOSE int fd = open(path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat sb;
	off_t at = 0, end;

	if (fd < 0 || fstat(from, &sb) || ftruncate(fd, sb.st_size))
		return err_sys(err, "cannot make '%s'", path);
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0 || copy_part(from, fd, at, end))
			return err_sys(err, "cannot copy to '%s'", path);
		at = end;
	}
	return errno == ENXIO ? 0 : err_sys(err, "cannot copy to '%s'", path);
}

int
disk_clone(const char *base, const char *dir, enum disk_way *ret,
	struct err *err)
{
	CLEANUP_CLOSE int from = open(base, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *raw = xasprintf("%s/" DISK_FILE, dir);
	CLEANUP_FREE char *qcow2 = xasprintf("%s/" DISK_QCOW2, dir);
	int rc;

	if (from < 0)
		return err_sys(err, "cannot open '%s'", base);
	*ret = DISK_REFLINK;
	rc = reflink(from, raw, err);
	if (rc == 1) {
		*ret = DISK_BACKING;
		rc = backing(base, qcow2, err);
	}
	if (rc == 1) {
		*ret = DISK_COPY;
		rc = copy(from, raw, err);
	}
	return rc;
}

/* ---- all of a VM ---- */

int
disks_make(const struct disk_spec *s, const char *dir, const char *name,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/" DISK_FILE, dir);
	CLEANUP_FREE char *seed = xasprintf("%s/" DISK_SEED, dir);
	enum disk_way way;

	if (s->size && make_new(path, s->size, err))
		return -1;
	if (s->base && disk_clone(s->base, dir, &way, err))
		return -1;
	return s->user_data ? seed_make(s->user_data, name, dir, seed, err) :
			      0;
}

static void
push(struct json *list, const char *dir, const char *file,
	const char *format, bool readonly)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, file);
	struct json *o = json_object();

	json_put_str(o, "path", path);
	json_put_str(o, "format", format);
	json_put_bool(o, "readonly", readonly);
	json_push(list, o);
}

struct json *
disks_json(const struct disk_spec *s, const char *dir)
{
	CLEANUP_FREE char *qcow2 = xasprintf("%s/" DISK_QCOW2, dir);
	struct json *list = json_array();

	if (disks_overlay(s) && fs_exists(AT_FDCWD, qcow2))
		push(list, dir, DISK_QCOW2, "qcow2", false);
	else if (disks_overlay(s))
		push(list, dir, DISK_FILE, "raw", false);
	if (s->user_data)
		push(list, dir, DISK_SEED, "raw", true);
	return list;
}
