#include "lib/vm/openmetrics.h"

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/metrics.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LIVE "state NOT IN ('stopped', 'crashed')"

static const struct metric table[] = {
	METRIC_GAUGE("forge_vms", "VMs that have a row, by state.",
		"SELECT '', json_object('state', state), count(*) FROM vm "
		"GROUP BY state"),
	METRIC_GAUGE("forge_vm_memory_bytes", "Memory given to living VMs.",
		"SELECT '', NULL, coalesce(sum(memory_mb), 0) * 1048576 "
		"FROM vm WHERE " LIVE),
	METRIC_GAUGE("forge_vm_cpus", "CPUs given to living VMs.",
		"SELECT '', NULL, coalesce(sum(cpus), 0) FROM vm "
		"WHERE " LIVE),
	METRIC_GAUGE("forge_leases", "Addresses in use.",
		"SELECT '', NULL, count(*) FROM lease"),
	METRIC_GAUGE("forge_images", "Images, by state.",
		"SELECT '', json_object('state', state), count(*) FROM image "
		"GROUP BY state"),
	METRIC_GAUGE("forge_image_bytes", "What the images take on disk.",
		"SELECT '', NULL, coalesce(sum(size), 0) FROM image"),
	METRIC_COUNTER("forge_vms_ended", "VMs that ended, by how.", "state",
		NULL),
	METRIC_HISTOGRAM("forge_vm_boot_seconds",
		"From the decision to boot until the guest is ready.",
		"driver", NULL),
};

int
vm_openmetrics(struct state *st, struct buf *out, struct err *err)
{
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	return metrics_write(db, table, ARRAY_SIZE(table), out, err);
}
