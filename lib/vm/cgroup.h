/*
 * cgroup: one cgroup for each VM, with everything in it that the VM runs on
 * the host: limits, what it used, and one blow that ends all of it.
 *
 *	struct cgroup_host h;
 *	cgroup_host_find(&h);			never fails; h.n is 0 for none
 *	cgroup_make(&h, id, &limits, &g, err)
 *	proc.cgroup = &g.join; proc_spawn(...)	it begins in there
 *	cgroup_kill(&g);			all that is in it, at once
 *	cgroup_release(&g);			our fds only
 *	cgroup_remove(&h, id, err)		kills what is in it, removes it
 *
 * Where: below CGROUP_BASE in each hierarchy.  For root that is at the top
 * of the mount, for others beside their own cgroup where somebody (systemd's
 * user manager) delegated that.  Version 2 alone, version 1, or both (hybrid:
 * limits by version 1, killing by version 2) are found from
 * /proc/self/mountinfo.
 *
 * A base is left behind when its last VM ends, and is removed by
 * cgroup_sweep().
 */
#ifndef FORGE_VM_CGROUP_H
#define FORGE_VM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/err.h"
#include "lib/base/proc.h"

#define CGROUP_BASE "forge.slice"

enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_CPUACCT, /* version 2: a part of cpu */
	CGROUP_PIDS,
	CGROUP_IO, /* version 1: blkio */
	CGROUP_FREEZER, /* version 2: always there */
	CGROUP__MAX,
};

struct cgroup_root {
	char path[256]; /* directory that CGROUP_BASE is in */
	unsigned controllers; /* bits 1 << enum cgroup_controller */
	bool v2;
};

struct cgroup_host {
	int n; /* roots that can be used */
	struct cgroup_root roots[PROC_CGROUPS];
	unsigned controllers; /* of all roots */
	const char *version; /* "version 2", "version 1", "hybrid" */
	char why[160]; /* when n is 0: why not */
};

struct cgroup_limits {
	int64_t memory; /* bytes; 0: none */
	int cpus; /* whole processors; 0: none */
	int pids; /* processes and threads; 0: none */
	int io_weight; /* 1..10000, 100 is usual; 0: none */
	int64_t disk_rate; /* bytes a second, read and write each; 0: none */
	dev_t disk; /* what disk_rate is for */
};

struct cgroup {
	struct cgroup_host host;
	struct proc_cgroup join;
	int dirs[PROC_CGROUPS]; /* as the host's roots, -1 */
	int n;
};

#define CGROUP_INIT ((struct cgroup){ .join = { .into = -1 } })

void cgroup_host_find(struct cgroup_host *ret);
/* For tests: mountinfo and the lines of /proc/self/cgroup as given. */
void cgroup_host_parse(const char *mountinfo, const char *own, bool root,
	struct cgroup_host *ret);

/*
 * Make id's cgroup in each hierarchy and set the limits.  An old one of that
 * id is used again.  A limit that no hierarchy can keep is ERR_LIMIT when it
 * is io_weight, disk_rate or pids, and passed over when it is memory or cpus,
 * which hypervisors keep too.
 */
int cgroup_make(const struct cgroup_host *h, const char *id,
	const struct cgroup_limits *l, struct cgroup *ret, struct err *err)
	__attribute__((warn_unused_result));
void cgroup_release(struct cgroup *g);
/* Where the kernel does that at one blow (version 2, 5.14); else nothing. */
void cgroup_kill(const struct cgroup *g);

/* Did the kernel kill something in it for want of memory? */
bool cgroup_oom(const struct cgroup_host *h, const char *id);

/* End every process in it and remove it; one that is not there is success. */
int cgroup_remove(const struct cgroup_host *h, const char *id,
	struct err *err) __attribute__((warn_unused_result));

/* Give each id that begins with prefix to emit, once; its non-zero return
 * stops the walk and is returned. */
int cgroup_each(const struct cgroup_host *h, const char *prefix,
	int (*emit)(const char *id, void *arg), void *arg);
/* Remove bases with nothing below them. */
void cgroup_sweep(const struct cgroup_host *h);

/* What has been used; -1 what the host does not count. */
struct cgroup_usage {
	int64_t cpu_us;
	int64_t memory, memory_peak, memory_limit; /* bytes */
	int64_t pids;
	int64_t read_bytes, written_bytes; /* of block devices */
};
/* -1 when there is no such cgroup. */
int cgroup_usage(const struct cgroup_host *h, const char *id,
	struct cgroup_usage *ret) __attribute__((warn_unused_result));

#endif
