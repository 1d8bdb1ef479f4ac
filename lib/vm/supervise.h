/*
 * supervise: the one process that is a VM.
 *
 *	1. lock run/vm/NAME and image/NAME (shared); row 'starting', lease
 *	2. directory vm/NAME with console.log and the control socket
 *	3. driver boot: the hypervisor is our child and dies with us
 *	4. HELLO, CONFIG, READY over the channel; row 'running'
 *	5. commands: our own (vm_boot.exec) and those that come through the
 *	   control socket, any number at once
 *	6. the end: hypervisor gone, files removed, row 'stopped' or 'crashed',
 *	   lease given back, locks free
 * What kill -9 leaves at each step is put in order by vm_repair().
 *
 * SIGTERM stops the VM (the guest's processes get TERM, then KILL), a second
 * one kills it.  With a command of our own, signals are the command's.
 */
#ifndef FORGE_VM_SUPERVISE_H
#define FORGE_VM_SUPERVISE_H

#include "lib/vm/exec_client.h"
#include "lib/vm/vm.h"

struct state;
struct timings;

struct vm_boot {
	struct vm_spec spec;
	const struct exec_request *exec; /* or NULL: run until told to stop */
	const char *snapshot; /* continue from it, or NULL */
	bool waits; /* ... and wait to be taken: warm.h */
	int64_t boot_timeout; /* ms */
	int64_t timeout; /* ms that exec may take; 0: any time */
	struct timings *timings; /* filled; or NULL */
	struct early *early; /* supervise_early.h; or NULL */
	int notify_fd; /* gets "NAME\n" when the VM is ready; -1 */
};

/*
 * Returns when the VM is gone.  -1: it did not come up, or ended otherwise
 * than it should; else *ret_status is the command's status, 0 without one.
 */
int supervise(struct state *st, const struct vm_boot *boot, int *ret_status,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Connect to the control socket of a running VM: frames as in channel.h, of
 * which stream 0 takes SHUTDOWN.  ERR_NOTFOUND.
 */
int supervisor_connect(struct state *st, const char *name, int *ret_fd,
	struct err *err) __attribute__((warn_unused_result));

#endif
