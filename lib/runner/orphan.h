/*
 * orphan: runners that only one side knows.
 *
 *	at GitHub, of a name that a pool of ours gives, offline and without a
 *	job, and without a row here: removed at GitHub
 *	a row 'idle' whose runner GitHub no longer has: ended here, for no job
 *	can come to it
 * Either is done only when it was seen so twice (twice.h).  A runner of
 * another host with the same prefix is spared while it is online.
 */
#ifndef FORGE_RUNNER_ORPHAN_H
#define FORGE_RUNNER_ORPHAN_H

#include "lib/base/err.h"
#include "lib/base/tell.h"

struct state;

/*
 * Of all pools.  told() gets a line for each orphan and each scope that
 * could not be asked; -1 is for the database and the configuration only.
 * With dry set, only tell.
 */
int orphans_sweep(struct state *st, int dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

#endif
