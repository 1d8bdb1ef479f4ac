/*
 * lock: one flock(2) on a permanent file.  The lock is the life of its
 * holder: "is it running?" means "is the lock held?".  It ends with the last
 * copy of the fd, so it is close-on-exec unless it is meant to be inherited.
 * Lock files are never deleted while anybody might hold them.
 *
 * Order, when more than one is taken: watch, session/ID, runner/NAME,
 * image/NAME, vm/NAME, tree/NAME, trust.  Never while a database transaction
 * is open.
 */
#ifndef FORGE_BASE_LOCK_H
#define FORGE_BASE_LOCK_H

#include <stdint.h>
#include <stdbool.h>
#include "lib/base/err.h"

enum lock_flags {
	LOCK_SHARED = 1 << 0,
};

/*
 * Take the lock on path below dirfd, making the file (0600, directories
 * must exist).  Waits up to wait_ms (0: not at all, -1: for ever) and then
 * fails with ERR_BUSY.  The fd is the lock: close it to let go.
 */
int lock_take(int dirfd, const char *path, unsigned flags, int64_t wait_ms,
	int *ret_fd, struct err *err) __attribute__((warn_unused_result));

/* 1 held by somebody, 0 free or no such file, -1 error. */
int lock_held(int dirfd, const char *path, struct err *err)
	__attribute__((warn_unused_result));

#endif
