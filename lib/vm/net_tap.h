/*
 * net_tap: one end of a tap.
 */
#ifndef FORGE_VM_NET_TAP_H
#define FORGE_VM_NET_TAP_H

#include "lib/base/err.h"

/*
 * Attach to the tap name, with virtio headers; it is made when there is none,
 * and goes with *ret_fd unless it is made to persist.
 */
int tap_open(const char *name, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
