/*
 * What the files of keeper share:
 *
 *	keeper.c	the loop
 *	keeper_vm.c	the VM, and what is done in it
 *	keeper_files.c	files and commits, there and back
 */
#ifndef FORGE_SESSION_KEEPER_INTERNAL_H
#define FORGE_SESSION_KEEPER_INTERNAL_H

#include <stdint.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/proc.h"
#include "lib/session/keeper.h"
#include "lib/session/place.h"
#include "lib/session/worktree_internal.h"

#define KEEPER_CP_MS (30 * 60000) /* of one copy */
#define KEEPER_EXEC_MS 60000

struct keeper {
	struct state *st;
	struct session s;
	struct trees trees; /* those with a clone of ours */
	char **known; /* of each: the commit that the VM began from, or NULL */
	struct buf mark; /* of files and branches, as of then */
	const struct keeper_run *run;
	char *home; /* absolute, as here so there */
	char *vm; /* its name */
	char *user; /* UID:GID of the agent there */
	bool git; /* it is there */
	int64_t max; /* bytes that may come back at a time */
	struct child machine, forward;
	struct buf line;
};

/* ---- keeper_vm.c ---- */

/* The VM, the way to the proxy. */
int keeper_boot(struct keeper *k, struct err *err)
	__attribute__((warn_unused_result));
int keeper_forward(struct keeper *k, struct err *err)
	__attribute__((warn_unused_result));
/* Why the VM is gone, when it is. */
int keeper_gone(struct keeper *k, struct err *err);
/* After that nothing of it runs. */
void keeper_destroy(struct keeper *k);
/*
 * sh -c SCRIPT WORDS...; by the agent's user, or by root.  out (or NULL) gets
 * at most max bytes.
 */
int keeper_exec(const struct keeper *k, bool root, const char *script,
	const char *const *words, struct buf *out, size_t max,
	struct err *err) __attribute__((warn_unused_result));
/* The content of one directory, as the agent's user. */
int keeper_put(const struct keeper *k, const char *from, const char *to,
	struct err *err) __attribute__((warn_unused_result));
int keeper_get(const struct keeper *k, const char *from, const char *to,
	struct err *err) __attribute__((warn_unused_result));

/* ---- keeper_files.c ---- */

/* All there; all back; again there if it was changed here. */
int keeper_fill(struct keeper *k, struct err *err)
	__attribute__((warn_unused_result));
int keeper_back(struct keeper *k, struct err *err)
	__attribute__((warn_unused_result));
int keeper_refill(struct keeper *k, struct err *err)
	__attribute__((warn_unused_result));

#endif
