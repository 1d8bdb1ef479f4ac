/*
 * net_setup: what --net tap needs of the host, once for all VMs:
 *
 *	net.ipv4.ip_forward = 1, with vm.subnet6 that of IPv6 too
 *	the table `inet forge` of nftables
 *	vm.subnet (and vm.subnet6) unreachable where there is no VM, so that
 *	packets to one that is gone do not leave by the default route
 *
 * With vm.bridge only the table: the rest is the owner's of the bridge.  Each
 * change is a row of host_change before it is made, so that undo takes back
 * what setup did and nothing else, whenever either was killed.
 */
#ifndef FORGE_VM_NET_SETUP_H
#define FORGE_VM_NET_SETUP_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/tell.h"

struct state;

/* told gets each change; with dry none is made.  Twice is once. */
int net_setup(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));
/* ERR_BUSY while a VM has a tap. */
int net_setup_undo(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

#endif
