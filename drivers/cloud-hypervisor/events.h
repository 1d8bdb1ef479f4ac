/*
 * events: what cloud-hypervisor says by --event-monitor, watched by a small
 * process of ours beside it.
 *
 * A guest that panics or resets does not end cloud-hypervisor: it boots again
 * in place, as an empty machine that nobody waits for.  So the watcher ends
 * it then, and its last line on stderr says why.
 */
#ifndef FORGE_DRIVER_EVENTS_H
#define FORGE_DRIVER_EVENTS_H

#include "lib/base/err.h"

/*
 * Start the watcher; *ret_fd, not close-on-exec, is what the hypervisor, which
 * this process will become, writes its events to.  The watcher ends with us.
 */
int events_watch(int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
