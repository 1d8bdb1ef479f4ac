/*
 * snapshot: the state of a VM in files, from which others continue.
 *
 *	snapshot/NAME/memory	the guest's memory, sparse
 *	snapshot/NAME/state	the rest of the machine, as QEMU migrates it
 *	snapshot/NAME/snapshot.json
 *		{"name","vm","image","digest","driver","hypervisor","cpu",
 *		 "cpus","memory_mb","net","size","created_at"}
 *
 * It is written aside, in snapshot/.NAME, and published by rename.  Who makes
 * or removes it holds run/snapshot/NAME alone, every VM made from it holds
 * that shared for its whole life: its memory is a private mapping of the file.
 *
 * It fits only the image with that digest, that version of the hypervisor and
 * that model of processor; all else is refused by snapshot_open().
 */
#ifndef FORGE_VM_SNAPSHOT_H
#define FORGE_VM_SNAPSHOT_H

#include <stdint.h>
#include "lib/base/json.h"
#include "lib/base/tell.h"

struct state;

#define SNAPSHOT_STATE "state"
#define SNAPSHOT_MEMORY "memory"

struct snapshot {
	struct json *about; /* snapshot.json */
	char *memory; /* absolute path */
	int state; /* fd of the file */
	int lock;
};

#define SNAPSHOT_INIT ((struct snapshot){ .state = -1, .lock = -1 })
#define CLEANUP_SNAPSHOT __attribute__((cleanup(snapshot_release)))
void snapshot_release(struct snapshot *s);

/* To be made; the fds are for who writes them. */
struct snapshot_new {
	struct state *st;
	char *name;
	int lock, dir, state, memory;
};
#define SNAPSHOT_NEW_INIT \
	((struct snapshot_new){ .lock = -1, .dir = -1, .state = -1, \
		.memory = -1 })

/* Reads and locks it.  ERR_NOTFOUND; ERR_INVALID when it does not fit here. */
int snapshot_open(struct state *st, const char *name, struct snapshot *ret,
	struct err *err) __attribute__((warn_unused_result));

/* Begin, publish; release without publish removes it.  ERR_EXISTS. */
int snapshot_begin(struct state *st, const char *name,
	struct snapshot_new *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Copy what from has written of its bytes, holes stay holes. */
int snapshot_copy(struct snapshot_new *n, int from, int64_t *ret_size,
	struct err *err) __attribute__((warn_unused_result));
int snapshot_publish(struct snapshot_new *n, const struct json *about,
	struct err *err) __attribute__((warn_unused_result));
void snapshot_new_release(struct snapshot_new *n);

/* The processor of this host, as a snapshot is tied to it; caller frees. */
char *snapshot_cpu(void);

int snapshot_each(struct state *st, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));
int snapshot_show(struct state *st, const char *name, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));
/* ERR_BUSY while a VM of it lives. */
int snapshot_rm(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* Remove what was broken off; with dry, only tell. */
int snapshot_fsck(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

/* Ask the supervisor of VM name for it. */
int vm_snapshot(struct state *st, const char *name, const char *snapshot,
	struct err *err) __attribute__((warn_unused_result));

#endif
