/*
 * redeliver: take the deliveries that failed from GitHub's record of them.
 *
 * GitHub tries each delivery once and keeps it for three days (GHES: seven).
 * Where a section has an App, the deliveries of the App's webhook are looked
 * at; where it has a token, those of the hooks for workflow_job of the
 * organizations and repositories that its pools name.  A delivery none of
 * whose attempts was answered with success, and that is not in the inbox, is
 * fetched and taken as if it had come in.  No inbound port is needed for
 * that.
 *
 * How far a hook was read is kept, and read again with a quarter of an hour
 * of overlap, in case clocks differ and attempts were slow.
 */
#ifndef FORGE_RUNNER_REDELIVER_H
#define FORGE_RUNNER_REDELIVER_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

struct redeliver {
	int64_t since; /* ms back; 0: from where the last one ended */
	bool all; /* those that succeeded, too, when the inbox has them not */
	bool ask; /* have GitHub send them again, instead of taking them */
	bool dry; /* only list them */
};

/*
 * emit, which owns it, gets {"guid","action","github","status",
 * "delivered_at","outcome"} for each; outcome is a delivery_result_name(),
 * "asked" or, with dry, "missing".  A hook that cannot be read does not keep
 * the others: failed() gets the reason, and the last is the error.
 */
int redeliver(struct state *st, const struct redeliver *what,
	int (*emit)(struct json *row, void *arg), void *arg,
	void (*failed)(const char *line), struct err *err)
	__attribute__((warn_unused_result));

#endif
