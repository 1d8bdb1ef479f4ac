/*
 * fleet: what there is and what there should be, of all pools together.
 *
 *	CLEANUP_FLEET struct fleet f = FLEET_INIT;
 *	fleet_load(st, &f, err)		configuration, jobs, runners, decision
 *	fleet_act(st, &f, err)		forge-runner start, as often as decided
 */
#ifndef FORGE_RUNNER_FLEET_H
#define FORGE_RUNNER_FLEET_H

#include "lib/base/json.h"
#include "lib/runner/decide.h"

struct state;

struct fleet {
	struct pools pools;
	struct supply *supply;
	struct decision *decisions;
	struct demand *demand;
	struct argv *labels; /* of each demand */
	struct argv strings; /* what the demands point to */
	size_t ndemand;
	int queued; /* jobs in all */
	int unserved; /* of them, those that no pool serves */
	int64_t retry_at; /* wall ms of the earliest end of a back-off; 0 */
};

#define FLEET_INIT ((struct fleet){ .strings = ARGV_INIT })
#define CLEANUP_FLEET __attribute__((cleanup(fleet_release)))
void fleet_release(struct fleet *f);

int fleet_load(struct state *st, struct fleet *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Returns the number started.  A start that fails is logged; its runner's
 * row makes the pool back off.
 */
int fleet_act(struct state *st, const struct fleet *f, struct err *err)
	__attribute__((warn_unused_result));

/* One object for each pool: {"name","scope","place","labels","queued",
 * "starting","idle","busy","max","min_idle","start","verdict"}. */
int fleet_each(const struct fleet *f,
	int (*emit)(struct json *row, void *arg), void *arg);

#endif
