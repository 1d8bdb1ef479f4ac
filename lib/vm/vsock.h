/*
 * vsock: the channel of hypervisors with hybrid vsock.  The guest connects
 * to port CHANNEL_VSOCK of the host, and the hypervisor in turn to the Unix
 * socket VSOCK_FILE "_1024" in the VM's directory, where we must listen
 * before it starts: so nobody asks again and again whether it is up.
 *
 *	vsock_listen(dir, &fd, &err)	before the boot
 *	... fd is readable ...
 *	vsock_accept(&fd, dir)	fd is the connection now
 *
 * The first connection is forge-init's, which runs before anything else in
 * the guest; others find nobody.
 */
#ifndef FORGE_VM_VSOCK_H
#define FORGE_VM_VSOCK_H

#include "lib/base/err.h"

/* What the hypervisor listens on, for connections to the guest. */
#define VSOCK_FILE "vsock"

int vsock_listen(int dirfd, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));
/* 0; 1: it was nobody after all, listen on; the socket's file is removed. */
int vsock_accept(int *fd, int dirfd) __attribute__((warn_unused_result));

#endif
