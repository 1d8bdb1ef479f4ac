/*
 * metrics: what one running VM uses of the host.
 */
#ifndef FORGE_VM_METRICS_H
#define FORGE_VM_METRICS_H

#include "lib/base/json.h"

struct state;

/*
 * Of the VM whose row (vm_show) this is:
 *	{"cpu_us","memory_bytes","memory_peak_bytes","memory_limit_bytes",
 *	 "processes","disk_read_bytes","disk_written_bytes",
 *	 "net_received_bytes","net_sent_bytes","source"}
 * from its cgroup ("source":"cgroup"), or where there is none from its
 * hypervisor ("process").  null: not counted; the network only where it
 * has a tap.  Received and sent are the guest's view.  ERR_NOTFOUND when it
 * does not run.
 */
int vm_metrics(struct state *st, const struct json *row, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
