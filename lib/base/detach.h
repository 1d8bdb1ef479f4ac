/*
 * detach: this very program once more, in a session of its own, so that it
 * outlives its caller.
 *
 * The new process gets args and --notify-fd=FD.  It writes one line to that
 * fd and closes it when it is what it was started to be; until then its
 * stderr is ours to read.
 */
#ifndef FORGE_BASE_DETACH_H
#define FORGE_BASE_DETACH_H

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

/*
 * Waits for that line, or for the end of the process without one.
 * *ret_status is 0 and *ret_line the line without its newline; or
 * *ret_status is what it exited with and err what it said.
 * -1: it could not be started.
 */
int detach_self(const struct argv *args, struct buf *ret_line,
	int *ret_status, struct err *err)
	__attribute__((warn_unused_result));

#endif
