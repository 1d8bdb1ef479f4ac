/*
 * restart: VMs that have ended begin again, with the arguments they had.
 *
 * A VM started with --restart is due when it crashed (its supervisor died,
 * the host went down, the guest or hypervisor failed), at once the first
 * time, then after 1, 2, 4 ... 300 s; one minute of life begins that anew.
 * One that was stopped, or whose time was over, stays so.
 */
#ifndef FORGE_VM_RESTART_H
#define FORGE_VM_RESTART_H

#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;

/* The names of those that are due. */
int vm_restart_due(struct state *st, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));

/* How this one was started: arguments of `forge-vm supervise`, verb first.
 * ERR_NOTFOUND; ERR_EXISTS when it has not ended. */
int vm_restart_args(struct state *st, const char *name, struct argv *ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
