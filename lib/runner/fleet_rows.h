/*
 * fleet_rows: the one query that a decision needs, made into what decide()
 * takes.  Only for fleet.c.
 */
#ifndef FORGE_RUNNER_FLEET_ROWS_H
#define FORGE_RUNNER_FLEET_ROWS_H

#include "lib/runner/fleet.h"

struct db;
struct strings;

struct strings *strings_new(void);
void strings_free(struct strings *s);

/* What live VMs and runners hold of the host. */
struct used {
	int64_t vms, cpus, memory;
	int64_t promised; /* bytes, of VMs that do not use theirs yet */
};

/*
 * Fills supply, crews, repos (limits not), demand and queued of f, whose
 * pools are loaded.
 */
int fleet_rows(struct db *db, struct fleet *f, int64_t now,
	struct used *ret_used, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Pools with place agent: have no more runners than the connected agents that
 * serve one of their label sets can run, all pools of one place together.
 */
int fleet_agents(struct db *db, struct fleet *f, struct err *err)
	__attribute__((warn_unused_result));
/* By name, case-insensitive; NULL: none of its jobs waits. */
struct repo *fleet_repo(const struct fleet *f, const char *name);

#endif
