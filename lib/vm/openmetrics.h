/*
 * openmetrics: what VMs, images and addresses there are, as OpenMetrics text
 * (lib/state/metrics.h), for `forge-vm metrics`; forge-vm(1) lists them.
 */
#ifndef FORGE_VM_OPENMETRICS_H
#define FORGE_VM_OPENMETRICS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;

/* Adds to out. */
int vm_openmetrics(struct state *st, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
