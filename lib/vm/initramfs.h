/*
 * initramfs: what the kernel starts: forge-init as /init, and the modules
 * of modules.h as /modules/NAME.ko, listed in the order of loading, one file
 * name a line, in /modules/order.
 */
#ifndef FORGE_VM_INITRAMFS_H
#define FORGE_VM_INITRAMFS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct kernel;

/* The archive (see cpio.h); modules of k are loaded, not changed. */
int initramfs_build(struct kernel *k, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
