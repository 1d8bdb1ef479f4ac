/*
 * control: what is done to a running VM from outside.
 */
#ifndef FORGE_VM_CONTROL_H
#define FORGE_VM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

struct state;

/*
 * Ask the guest to end its processes and power off; returns when it is gone.
 * After grace_ms what is left in it is killed, a little later the VM.
 * ERR_NOTFOUND when it does not run; a VM that is stopped is success.
 */
int vm_stop(struct state *st, const char *name, int64_t grace_ms,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Wait until the VM is ready, or, with stopped, until it does not run; at
 * most until the monotonic deadline (-1: none).  ERR_TIMEOUT; ERR_NOTFOUND
 * for a VM that is not known; ERR_SYS when it ended before it was ready.
 */
int vm_wait(struct state *st, const char *name, bool stopped,
	int64_t deadline, struct err *err)
	__attribute__((warn_unused_result));

#endif
