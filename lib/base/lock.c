#include "lib/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* 1..limit ms, so that waiters do not march in step. */
static void
pause_some(int limit)
{
	unsigned char r;
	struct timespec ts = { 0 };

	random_bytes(&r, 1);
	ts.tv_nsec = (1 + r % limit) * 1000000L;
	(void)nanosleep(&ts, NULL); /* shorter is no harm */
}

static int
lock_wait(int fd, int op, int64_t wait_ms)
{
	int64_t deadline = wait_ms < 0 ? -1 : clock_mono() + wait_ms;
	int limit = 2;

	if (wait_ms < 0) {
		while (flock(fd, op))
			if (errno != EINTR)
				return -1;
		return 0;
	}
	while (flock(fd, op | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		if (!clock_left(deadline)) {
			errno = EWOULDBLOCK;
			return -1;
		}
		pause_some(limit);
		if (limit < 50)
			limit *= 2;
	}
	return 0;
}

int
lock_take(int dirfd, const char *path, unsigned flags, int64_t wait_ms,
	int *ret_fd, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dirfd, path,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	int op = flags & LOCK_SHARED ? LOCK_SH : LOCK_EX;

	if (fd < 0)
		return err_sys(err, "cannot open lock '%s'", path);
	if (lock_wait(fd, op, wait_ms)) {
		if (errno == EWOULDBLOCK)
			return err_set(err, ERR_BUSY,
				"'%s' is in use by another process", path);
		return err_sys(err, "cannot lock '%s'", path);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
lock_held(int dirfd, const char *path, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dirfd, path,
		O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return errno == ENOENT ? 0 :
			err_sys(err, "cannot open lock '%s'", path);
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return 1;
	return err_sys(err, "cannot test lock '%s'", path);
}
