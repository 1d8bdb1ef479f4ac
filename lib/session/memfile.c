#include "lib/session/memfile.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
memfile_open(struct memfile *f, const void *p, size_t n, struct err *err)
{
	CLEANUP_CLOSE int fd = memfd_create("forge", MFD_CLOEXEC);

	/* born with mode 0777, and ssh refuses keys that others may read */
	if (fd < 0 || fchmod(fd, 0600) || write_all(fd, p, n))
		return err_sys(err, "cannot keep a key in memory");
	(void)snprintf(f->path, sizeof(f->path), "/proc/%d/fd/%d",
		(int)getpid(), fd);
	f->fd = steal_fd(&fd);
	return 0;
}

int
memfile_read(const struct memfile *f, size_t max, struct buf *ret,
	struct err *err)
{
	if (lseek(f->fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read a key in memory");
	return buf_read_fd(ret, f->fd, max, "a key in memory", err);
}

void
memfile_close(struct memfile *f)
{
	cleanup_close(&f->fd);
	f->fd = -1;
}
