/*
 * signals: read through an fd, in a poll loop, instead of handlers.
 */
#ifndef FORGE_BASE_SIGNALS_H
#define FORGE_BASE_SIGNALS_H

#include "lib/base/err.h"

/*
 * Block the signals of list (ended by 0), ignore SIGPIPE, and open a
 * non-blocking signalfd for them; the caller closes it.  Children start with
 * default signals all the same (proc.h).
 */
int signals_open(const int *list, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));

/* The next signal that came, 0 when there is none. */
int signals_next(int fd);

#endif
