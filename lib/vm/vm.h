/*
 * vm: the rows of the table of VMs, and what a dead supervisor leaves.
 *
 *	starting -> running -> stopping -> stopped
 *	            running <-> paused
 *	    any of these -> crashed
 *
 * A VM lives while its supervisor holds the lock run/vm/NAME.  Each change of
 * a row writes its event in the same transaction; the lease of its address
 * is taken with the row and given back when the VM ends.  A VM that is not
 * kept (`forge-vm run`) has no row any more after its end.
 */
#ifndef FORGE_VM_VM_H
#define FORGE_VM_VM_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/tell.h"
#include "lib/base/json.h"
#include "lib/vm/disk.h"

struct state;
struct db;
struct subnet;

/* What cgroups keep beside memory and processors; 0: as usual. */
struct vm_limits {
	int pids; /* processes and threads on the host */
	int io_weight; /* 1..10000, 100 is usual */
	int64_t disk_rate; /* bytes a second, read and write each */
};

struct vm_spec {
	const char *name;
	const char *image;
	const char *driver; /* "qemu" */
	const char *net; /* "none", "tap" (net.h), "driver", or usernet.h */
	const char *egress; /* of a tap: as egress.h has it; else NULL */
	int cpus;
	int64_t memory; /* bytes, whole MiB */
	struct disk_spec disk;
	bool keep; /* the row stays when it ends */
	struct vm_limits limits;
	int64_t ttl; /* ms that it may live; 0: any time */
	int64_t idle; /* ms that it may go unused; 0: any time */
	bool restart; /* it comes back after a crash; with keep */
	bool again; /* it was there before and has ended: take its row over */
	const char *argv; /* JSON array: how to start it again; or NULL */
};

struct vm_address {
	uint32_t address; /* 0 with net none */
	char mac[18];
};

/*
 * The intent: row 'starting' and lease, refused with ERR_LIMIT beyond
 * forge.max-vms, forge.max-memory and forge.max-cpus, with ERR_EXISTS when
 * there is a VM of that name.
 */
int vm_create(struct state *st, const struct vm_spec *spec,
	struct vm_address *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The hypervisor runs: who it is, for the time after our death. */
int vm_booting(struct db *db, const char *name, const char *hypervisor,
	struct err *err) __attribute__((warn_unused_result));
/* took: {"phase": ms, ...}; taken over. */
/* Does a VM of that network have an address of ours? */
bool vm_has_lease(const struct vm_spec *spec);
/* The address that its driver gave it. */
int vm_set_address(struct db *db, const char *name, const char *address,
	struct err *err) __attribute__((warn_unused_result));
int vm_ready(struct db *db, const char *name, struct json *took,
	struct err *err) __attribute__((warn_unused_result));
/* It stands still, or goes on. */
int vm_paused(struct db *db, const char *name, bool paused, struct err *err)
	__attribute__((warn_unused_result));
int vm_stopping(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* Its --ttl or --idle (why) is over; reason as a line. */
int vm_expired(struct db *db, const char *name, const char *why,
	const char *reason, struct err *err)
	__attribute__((warn_unused_result));
/* The end: state stopped or crashed, lease given back, row gone unless it is
 * kept.  reason may be NULL. */
int vm_ended(struct db *db, const char *name, bool crashed, int status,
	const char *reason, struct err *err)
	__attribute__((warn_unused_result));

/* Every VM, by name, one JSON object each. */
int vm_each(struct db *db, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));
int vm_show(struct db *db, const char *name, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));
/* ERR_NOTFOUND, in the words of every verb.  Returns -1. */
int vm_unknown(const char *name, struct err *err);
/* Its state, "" when there is no such VM; caller frees. */
int vm_state(struct db *db, const char *name, char **ret, struct err *err)
	__attribute__((warn_unused_result));
/* stopped, crashed, or "": there is none. */
bool vm_over(const char *state);

/*
 * Bury VMs whose supervisor is dead: end their hypervisor if it still lives,
 * row crashed (or gone), lease given back, files removed; and remove
 * directories of VMs that have no row.  Every command does it first; it
 * costs one query when there is nothing.  With dry, only tell.
 */
int vm_repair(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));
/* As vm_repair, but look through the directories too. */
int vm_fsck(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

/* Kill it, whatever it does, and forget it.  ERR_NOTFOUND. */
int vm_destroy(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* Remove the files below vm/NAME. */
int vm_remove_files(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

#endif
