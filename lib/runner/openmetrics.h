/*
 * openmetrics: everything that forge counts, as one OpenMetrics text
 * (lib/state/metrics.h): jobs, pools, runners, webhooks and the supervisor
 * from here, and what `forge-vm metrics` says.  forge-watch(8) lists them.
 */
#ifndef FORGE_RUNNER_OPENMETRICS_H
#define FORGE_RUNNER_OPENMETRICS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;

/* The whole exposition, "# EOF" included, added to out. */
int openmetrics(struct state *st, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/*
 * One HTTP request on a connection, as inetd hands it over; the answer is the
 * exposition.  Any path, GET and HEAD.
 */
int openmetrics_serve(int in, int out, struct err *err)
	__attribute__((warn_unused_result));

#endif
