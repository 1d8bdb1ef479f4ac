#include "drivers/process/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define PAGE 4096

static int
make(const char *path, mode_t mode, struct err *err)
{
	/* and chmod: the umask is somebody else's */
	return mkdir(path, mode) || chmod(path, mode) ?
		err_sys(err, "cannot make '%s'", path) :
		0;
}

int
stage_mount(int64_t size, struct err *err)
{
	/* An inode costs about a KiB of the kernel's own memory. */
	CLEANUP_FREE char *limits = xasprintf(
		"mode=755,size=%" PRId64 ",nr_inodes=%" PRId64, size,
		size / PAGE);

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return err_sys(err, "cannot keep our mounts to ourselves");
	if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, limits))
		return err_sys(err, "cannot mount a tmpfs");
	if (make(STAGE "/root", 0755, err) || make(STAGE "/upper", 0755, err) ||
		make(STAGE "/work", 0755, err) || make(STAGE "/tmp", 01777, err) ||
		make(STAGE "/run", 0755, err) || make(STAGE "/shm", 01777, err))
		return -1;
	/* "." since no path may lead there for who we are now. */
	if (mount("overlay", STAGE "/root", "overlay", MS_NOSUID | MS_NODEV,
		    "lowerdir=.,upperdir=" STAGE "/upper,workdir=" STAGE
		    "/work,userxattr"))
		return err_sys(err, "cannot mount an overlay (the kernel must "
				    "allow it in user namespaces: 5.11)");
	return 0;
}
