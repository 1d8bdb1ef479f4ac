/*
 * supervise_early: the driver of a place, started before the database is
 * opened.
 *
 *	struct early early = EARLY_INIT;
 *	early_begin(st, &boot.spec, &early);	or not: then it stays empty
 *	boot.early = &early;
 *	... look at the image, or fail ...
 *	supervise(st, &boot, ...)		takes what there is
 *	early_release(st, boot.spec.name, &early);	what nobody took
 *
 * A driver that is no machine needs some ms to be loaded, about as long as we
 * need to find out what it is to do.  It waits for that on its stdin and has
 * done nothing yet; its end is ours.  What stays of us when we are killed is
 * an empty cgroup, which `forge-vm fsck` removes.
 */
#ifndef FORGE_VM_SUPERVISE_EARLY_H
#define FORGE_VM_SUPERVISE_EARLY_H

#include <signal.h>
#include "lib/base/proc.h"
#include "lib/vm/cgroup.h"

struct state;
struct vm_spec;

struct early {
	bool begun;
	int lock; /* run/vm/NAME */
	struct cgroup cgroup;
	struct child driver;
	int channel[2], console[2]; /* ours, the driver's */
	sigset_t mask; /* as it was: what ends us waits until then */
};

#define EARLY_INIT                                                     \
	((struct early){ .lock = -1, .driver = CHILD_INIT,             \
		.cgroup = CGROUP_INIT, .channel = { -1, -1 },          \
		.console = { -1, -1 } })

/*
 * For a VM of a name that was never used, without lease, disks or snapshot,
 * whose driver is no machine.  Where that is not so, or anything fails,
 * nothing is begun: whoever does it all in order finds the reason.
 */
void early_begin(struct state *st, const struct vm_spec *spec,
	struct early *ret);
void early_release(struct state *st, const char *name, struct early *e);

#endif
