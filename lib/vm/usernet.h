/*
 * usernet: the network of a guest without any right on the host: passt(1), a
 * process of the same user that makes the guest's connections as its own.
 *
 *	--net user		what the host can reach, but for its loopback
 *	--net user+loopback	the gateway's address is the host's loopback
 *
 * One passt for each VM, our child, with one end of a socket pair; the
 * hypervisor has the other, and when that closes passt ends too.
 */
#ifndef FORGE_VM_USERNET_H
#define FORGE_VM_USERNET_H

#include <stdbool.h>
#include "lib/base/proc.h"

struct subnet;
struct vm_address;

/* Is this a --net that is served from here? */
bool usernet_mode(const char *net);

/*
 * *ret_fd is the hypervisor's end (the caller's), ret the process with its
 * stderr in ret->err.  ERR_NOTFOUND without passt.
 */
int usernet_start(const char *net, const struct vm_address *address,
	const struct subnet *subnet, int *ret_fd, struct child *ret,
	struct err *err) __attribute__((warn_unused_result));

/* After ret->pidfd became readable: its last line as the reason. */
void usernet_ended(struct child *c, struct err *err);

#endif
