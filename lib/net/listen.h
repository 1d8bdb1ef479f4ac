/*
 * listen: a listening stream socket from one word of the configuration.
 *
 *	127.0.0.1:9180	[::1]:9180	*:9180		TCP
 *	/run/forge/metrics.sock				a Unix socket, 0660
 *
 * Addresses are numeric.  A Unix socket that nobody listens on any more is
 * replaced; one that lives, or a file that is no socket, is ERR_BUSY.
 */
#ifndef FORGE_NET_LISTEN_H
#define FORGE_NET_LISTEN_H

#include "lib/base/err.h"

/* Non-blocking and close-on-exec; the caller's.  ERR_INVALID for a word that
 * is none of these. */
int listen_open(const char *where, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
