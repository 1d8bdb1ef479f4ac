/*
 * garm_sweep: instances of garm's providers that only one side knows.
 *
 * garm_sweep(): a row of an instance whose runner is done and removed at
 * GitHub: the instance is deleted, by the provider's id, or, where that was
 * not learned, as it is listed, or by its name.
 *
 * garm_orphans(): what a provider lists for a pool of ours and no row is of:
 * deleted when seen so twice (twice.h).
 *
 * told() gets a line for each, and for each provider that fails; -1 is for
 * the database and the configuration only.  With dry set, only tell.
 */
#ifndef FORGE_RUNNER_GARM_SWEEP_H
#define FORGE_RUNNER_GARM_SWEEP_H

#include "lib/base/err.h"
#include "lib/base/tell.h"

struct db;
struct garm;
struct instance;
struct state;

int garm_sweep(struct state *st, int dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));
int garm_orphans(struct state *st, int dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

/* Learn and note row's provider_id by its name; ERR_NOTFOUND. */
int garm_find(struct db *db, const struct garm *g, struct instance *row,
	struct err *err) __attribute__((warn_unused_result));

#endif
