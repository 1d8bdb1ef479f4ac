#include "lib/vm/cgroup_vm.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/digest.h"
#include "lib/vm/driver.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

/*
 * What a VM costs beside its guest's memory.  A hypervisor: QEMU's cache of
 * translated code (64 MiB), its own heap, page tables and the pages of the
 * files it reads.  A place has only its PID 1.
 */
#define OVERHEAD_MACHINE ((int64_t)384 << 20)
#define OVERHEAD_PLACE ((int64_t)32 << 20)
/* Threads of a hypervisor; processes of a place. */
#define PIDS_MACHINE 512
#define PIDS_PLACE 4096

char *
vm_cgroup_id(struct state *st, const char *name)
{
	const char *path = state_path(st);
	struct digest d;

	digest_bytes(path, strlen(path), &d);
	return xasprintf("%.12s-%s", d.hex, name);
}

static int
limits_of(struct state *st, const struct vm_spec *spec,
	const struct cgroup_host *h, struct cgroup_limits *ret,
	struct err *err)
{
	struct driver driver;
	struct stat sb;

	if (driver_find(spec->driver, &driver, err))
		return -1;
	if (fstat(state_dir(st), &sb))
		return err_sys(err, "cannot look at '%s'", state_path(st));
	*ret = (struct cgroup_limits){ .cpus = spec->cpus,
		.memory = spec->memory +
			(driver.machine ? OVERHEAD_MACHINE : OVERHEAD_PLACE),
		.pids = spec->limits.pids,
		.io_weight = spec->limits.io_weight,
		.disk_rate = spec->limits.disk_rate,
		.disk = sb.st_dev };
	if (driver.elsewhere) { /* here is only what speaks to it */
		ret->cpus = 1;
		ret->memory = OVERHEAD_MACHINE;
	}
	if (!ret->pids && h->controllers & 1u << CGROUP_PIDS)
		ret->pids = driver.machine ? PIDS_MACHINE : PIDS_PLACE;
	return 0;
}

int
vm_cgroup_make(struct state *st, const struct vm_spec *spec,
	struct cgroup *ret, struct err *err)
{
	CLEANUP_FREE char *id = vm_cgroup_id(st, spec->name);
	struct cgroup_limits limits;
	struct cgroup_host h;

	cgroup_host_find(&h);
	return limits_of(st, spec, &h, &limits, err) ||
			cgroup_make(&h, id, &limits, ret, err) ?
		-1 :
		0;
}

bool
vm_cgroup_oom(struct state *st, const char *name)
{
	CLEANUP_FREE char *id = vm_cgroup_id(st, name);
	struct cgroup_host h;

	cgroup_host_find(&h);
	return cgroup_oom(&h, id);
}

int
vm_cgroup_remove(struct state *st, const char *name,
	const struct cgroup_host *host, struct err *err)
{
	CLEANUP_FREE char *id = vm_cgroup_id(st, name);
	struct cgroup_host h;

	if (!host || !host->n) {
		cgroup_host_find(&h);
		host = &h;
	}
	return cgroup_remove(host, id, err);
}
