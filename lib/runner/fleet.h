/*
 * fleet: what there is and what there should be, of all pools together.
 *
 *	CLEANUP_FLEET struct fleet f = FLEET_INIT;
 *	fleet_load(st, &f, err)		configuration, jobs, runners, decision
 *	fleet_act(st, &f, err)		forge-runner run, as often as decided
 *
 * What is decided against (f.plan.remove) is fleet_trim()'s work: it asks
 * GitHub and may take long.
 */
#ifndef FORGE_RUNNER_FLEET_H
#define FORGE_RUNNER_FLEET_H

#include "lib/base/json.h"
#include "lib/runner/decide.h"
#include "lib/base/tell.h"

struct state;

/* A version of the listener, and when it was first seen released. */
struct release {
	const char *version;
	int64_t seen_at; /* wall ms */
};

struct fleet {
	struct pools pools;
	struct supply *supply; /* of each pool */
	struct decision *decisions; /* of each pool; the plan's */
	struct plan plan;
	struct crew *crews;
	size_t ncrews;
	struct repo *repos;
	size_t nrepos;
	struct demand *demand;
	size_t ndemand;
	struct release *releases;
	size_t nreleases;
	struct strings *strings; /* what the above point to */
	struct room room, whole;
	int queued; /* jobs in all */
	int unserved; /* of them, those that no pool serves */
	int surplus; /* runners to give up */
	int64_t retry_at; /* wall ms of the earliest end of a back-off; 0 */
};

#define FLEET_INIT ((struct fleet){ 0 })
#define CLEANUP_FLEET __attribute__((cleanup(fleet_release)))
void fleet_release(struct fleet *f);

/* One query of the database for all that changes. */
int fleet_load(struct state *st, struct fleet *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Returns the number started.  A start that fails is logged; its runner's
 * row makes the pool back off.
 */
int fleet_act(struct state *st, const struct fleet *f, struct err *err)
	__attribute__((warn_unused_result));
/*
 * End the runners that are too many: each is removed at GitHub first, and
 * kept when it has a job there.  told() gets a line for each; with dry set
 * nothing is done.
 */
int fleet_trim(struct state *st, const struct fleet *f, bool dry,
	tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

/* One object for each pool: {"name","scope","place","labels","queued",
 * "starting","idle","busy","max","min_idle","start","remove","verdict"}; emit
 * owns it. */
int fleet_each(const struct fleet *f,
	int (*emit)(struct json *row, void *arg), void *arg);

#endif
