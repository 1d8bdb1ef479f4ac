/*
 * warm: pools of VMs that wait, restored and paused, to be taken by `run` and
 * `start` of the same image and shape.
 *
 *	warm_set(st, &spec, 3, err)	three of these are wanted
 *	warm_fill(st, start, arg, err)	make what is missing, end what is over
 *	warm_list(st, &spec, &names, err); for each until one says yes:
 *		warm_take(st, name, &how, &sock, err)
 *
 * All VMs of a pool come from one snapshot, which belongs to the pool and is
 * made anew when it does not fit any more.  A waiting VM has its own name,
 * address and machine ID, and has run a moment with them; time and entropy it
 * gets once more when it is taken.  It is its supervisor that gives it away,
 * to the first that asks: never twice.
 */
#ifndef FORGE_VM_WARM_H
#define FORGE_VM_WARM_H

#include "lib/base/argv.h"
#include "lib/vm/vm.h"

#define WARM_MAX 1000

/* wanted 0: no such pool any more; its VMs go with the next warm_fill(). */
int warm_set(struct state *st, const struct vm_spec *spec, int wanted,
	struct err *err) __attribute__((warn_unused_result));

/*
 * start: `forge-vm supervise` with args, until the VM is ready (or waits).
 * told gets the name of each VM that is made.  A pool that another process
 * fills just now is left alone.
 */
struct warm_hooks {
	int (*start)(const struct argv *args, struct err *err);
	void (*told)(const char *name);
};
int warm_fill(struct state *st, const struct warm_hooks *hooks,
	struct err *err) __attribute__((warn_unused_result));
/* End all that wait for users of this image: it is to be removed. */
int warm_drain(struct state *st, const char *image, struct err *err)
	__attribute__((warn_unused_result));

/* Names of those that wait and have the shape of spec. */
int warm_list(struct state *st, const struct vm_spec *spec,
	struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));

struct warm_how {
	bool run; /* it ends with the connection */
	const struct vm_spec *spec; /* ttl, idle, restart, argv; not with run */
};
/*
 * ERR_BUSY, ERR_NOTFOUND: somebody else has it, or it is gone.  *ret_sock is
 * a connection to its supervisor, as of supervisor_connect().
 */
int warm_take(struct state *st, const char *name, const struct warm_how *how,
	int *ret_sock, struct err *err) __attribute__((warn_unused_result));

/* ---- for its supervisor ---- */

struct db;
/* It waits, made from this snapshot. */
int warm_waits(struct db *db, const char *name, const char *snapshot,
	struct err *err) __attribute__((warn_unused_result));
/* It is somebody's now: starting, with what spec says. */
int warm_taken(struct db *db, const struct vm_spec *spec, struct err *err)
	__attribute__((warn_unused_result));

#endif
