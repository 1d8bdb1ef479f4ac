#include "cmd/forge-init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_WAIT 10000 /* ms */

/* Where the pieces lie in the initramfs. */
#define LOWER "/lower"
#define UPPER "/upper"
#define ROOT "/newroot"

/* Of the overlay's disk: chroot leaves no path to it. */
static int upper = -1;

static int
mount_overlay(const struct config *c)
{
	bool ram = !strcmp(c->overlay, "tmpfs");

	module_load_fs("overlay");
	if (!ram) {
		module_load_fs("ext4");
		if (wait_path(c->overlay, DEVICE_WAIT))
			return -1;
	}
	if (mount(ram ? "tmpfs" : c->overlay, UPPER, ram ? "tmpfs" : "ext4", 0,
		    ram ? "mode=755,size=90%" : ""))
		return -1;
	if (!ram)
		upper = open(UPPER, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if ((mkdir(UPPER "/data", 0755) && errno != EEXIST) ||
		(mkdir(UPPER "/work", 0755) && errno != EEXIST))
		return -1;
	return mount("overlay", ROOT, "overlay", 0,
		"lowerdir=" LOWER ",upperdir=" UPPER "/data,workdir=" UPPER
		"/work");
}

/* /dev and the like go along; a root without the directory gets it. */
static void
carry(const char *path)
{
	char to[64];

	(void)snprintf(to, sizeof(to), ROOT "%s", path);
	(void)mkdir(to, 0755);
	(void)mount(path, to, NULL, MS_MOVE, NULL);
}

/* A file system that can be written is, unless its disk cannot. */
static int
mount_root(const struct config *c)
{
	bool fixed = c->overlay[0] || strcmp(c->rootfs, "ext4") != 0;
	const char *at = c->overlay[0] ? LOWER : ROOT;

	if (!fixed && !mount(c->root, at, c->rootfs, 0, NULL))
		return 0;
	if (!fixed && errno != EACCES && errno != EROFS)
		return -1;
	return mount(c->root, at, c->rootfs, MS_RDONLY, NULL);
}

int
root_enter(const struct config *c, const char **ret_what)
{
	(void)mkdir(LOWER, 0755);
	(void)mkdir(UPPER, 0755);
	(void)mkdir(ROOT, 0755);
	*ret_what = "the root device does not appear";
	if (wait_path(c->root, DEVICE_WAIT))
		return -1;
	*ret_what = "the root cannot be mounted";
	module_load_fs(c->rootfs);
	if (mount_root(c))
		return -1;
	*ret_what = "the overlay cannot be mounted";
	if (c->overlay[0] && mount_overlay(c))
		return -1;
	carry("/dev");
	carry("/proc");
	carry("/sys");
	*ret_what = "the root cannot be entered";
	return chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) ||
			chroot(".") || chdir("/") ?
		-1 :
		0;
}

static void
mount_at(const char *type, const char *path, mode_t mode, unsigned long flags,
	const char *data)
{
	(void)mkdir(path, mode);
	(void)mount(type, path, type, flags, data);
}

void
mount_late(void)
{
	mount_at("devpts", "/dev/pts", 0755, MS_NOSUID | MS_NOEXEC,
		"mode=620,ptmxmode=666,gid=5");
	mount_at("tmpfs", "/dev/shm", 01777, MS_NOSUID | MS_NODEV, "mode=1777");
	mount_at("tmpfs", "/run", 0755, MS_NOSUID | MS_NODEV, "mode=755");
	mount_at("tmpfs", "/tmp", 01777, MS_NOSUID | MS_NODEV,
		"mode=1777,size=50%");
	mount_at("cgroup2", "/sys/fs/cgroup", 0755,
		MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	(void)!symlink("/proc/self/fd", "/dev/fd");
	(void)!symlink("/proc/self/fd/0", "/dev/stdin");
	(void)!symlink("/proc/self/fd/1", "/dev/stdout");
	(void)!symlink("/proc/self/fd/2", "/dev/stderr");
}

void
root_readonly(void)
{
	char path[32];

	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	if (upper < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", upper);
	(void)mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}
