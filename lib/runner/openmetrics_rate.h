/* openmetrics_rate: the budgets of all [github] sections; for openmetrics.c */
#ifndef FORGE_RUNNER_OPENMETRICS_RATE_H
#define FORGE_RUNNER_OPENMETRICS_RATE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;

/* Adds to out what run/rate tells; a budget that is not known has no line. */
int openmetrics_rate(struct state *st, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
