/*
 * rate: how often a server may be called, kept in common by all processes of
 * one state.
 *
 *	struct rate_ask ask = { .kind = RATE_MINT, .patience = 60000 };
 *	if (rate_turn(st, "hub", &ask, &wait, err)) ...	ERR_LIMIT: not now
 *	... sleep wait ms, call ...
 *	rate_heard(st, "hub", &answer, &until, err)
 *
 * The rules, from docs.github.com/rest (rate limits, best practices):
 * after 403 or 429 nobody calls before retry-after, else the reset of a
 * budget that is used up, else a minute, which doubles while that goes on;
 * writes are a second apart; registrations of runners, which have a budget of
 * their own, are let through RATE_BURST at once and then RATE_SPACING ms
 * apart, so that no minute has more than 180.  Whoever can wait until another
 * hour (background) leaves a tenth of a budget to those who cannot.
 *
 * What is known is one line of JSON in run/rate/NAME, changed under the lock
 * on that file and never synced: after a crash of the host GitHub tells again.
 * Times are wall ms of this host.
 */
#ifndef FORGE_RUNNER_RATE_H
#define FORGE_RUNNER_RATE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

enum { RATE_BURST = 60, RATE_SPACING = 500, RATE_WRITE_SPACING = 1000 };

enum rate_kind {
	RATE_FREE, /* not counted: the question for the limits themselves */
	RATE_READ,
	RATE_WRITE,
	RATE_MINT, /* registers a runner */
};

struct rate_budget {
	int64_t limit, remaining, reset; /* -1: not known */
};

struct rate {
	int64_t blocked_until; /* 0: nothing keeps us */
	int64_t strikes; /* refusals without a time, in a row */
	int64_t write_at; /* the next write may not be earlier */
	int64_t mint_at; /* when the burst would be whole again */
	struct rate_budget core, registration;
	char why[256]; /* GitHub's words when it refused */
};
#define RATE_INIT \
	((struct rate){ .core = { -1, -1, -1 }, \
		.registration = { -1, -1, -1 } })

struct rate_ask {
	enum rate_kind kind;
	bool background;
	bool unpaced; /* only refusals and budgets count: GHES, Gitea */
	int64_t patience; /* ms that the caller would wait */
};

struct rate_answer {
	bool refused; /* 403 or 429 for the sake of a limit */
	bool registration; /* whose budget these are */
	struct rate_budget budget;
	int64_t retry_after; /* s; 0: not said */
	const char *why;
};

/* ---- pure ---- */

/*
 * The ms until the caller's turn, which is now taken; -1 when that is beyond
 * its patience, and nothing was taken: *ret_until is when it might be.
 */
int64_t rate_take(struct rate *r, const struct rate_ask *ask, int64_t now,
	int64_t *ret_until);
void rate_learn(struct rate *r, const struct rate_answer *a, int64_t now);

/* ---- in the state ---- */

/* ERR_LIMIT when it is beyond ask->patience. */
int rate_turn(struct state *st, const char *name, const struct rate_ask *ask,
	int64_t *ret_wait, struct err *err)
	__attribute__((warn_unused_result));
/* *ret_until: when calls go on, 0 when nothing keeps them. */
int rate_heard(struct state *st, const char *name,
	const struct rate_answer *a, int64_t *ret_until, struct err *err)
	__attribute__((warn_unused_result));
/* What is known; RATE_INIT when nothing is. */
int rate_load(struct state *st, const char *name, struct rate *ret,
	struct err *err) __attribute__((warn_unused_result));
/* {"blocked_until","strikes","core":{"limit","remaining","reset"},...} */
struct json *rate_json(const struct rate *r);

#endif
