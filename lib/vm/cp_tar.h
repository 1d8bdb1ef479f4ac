/*
 * cp_tar: a tar stream on an fd as a pack, and a pack as a tar stream.
 */
#ifndef FORGE_VM_CP_TAR_H
#define FORGE_VM_CP_TAR_H

#include <sys/types.h>
#include "lib/base/err.h"
#include "lib/vm/pack.h"

/*
 * stop is a signalfd: when it becomes readable while we wait for fd, that is
 * ERR_CANCELED.  The signal stays there.
 */
struct tar_in; /* any tar, compressed or not */
int tar_in_open(int fd, int stop, struct tar_in **ret, struct err *err)
	__attribute__((warn_unused_result));
/* The bytes of a pack, 0 at its end. */
ssize_t tar_in_read(struct tar_in *t, void *p, size_t n, struct err *err);
void tar_in_close(struct tar_in *t);

/* pax, without anything that is not below top ("." for anything relative). */
struct tar_out;
int tar_out_open(int fd, int stop, const char *top, struct tar_out **ret,
	struct err *err) __attribute__((warn_unused_result));
extern const struct pack_sink tar_out_sink; /* arg: the tar_out */
/* Why the sink failed, when it was not errno alone. */
const struct err *tar_out_error(const struct tar_out *t);
int tar_out_finish(struct tar_out *t, struct err *err)
	__attribute__((warn_unused_result));
void tar_out_close(struct tar_out *t);

#endif
