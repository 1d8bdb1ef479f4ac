/*
 * cgroup_vm: cgroup.h for the VMs of one state directory: a VM's cgroup is
 * named "XXXXXXXXXXXX-NAME", the first part being the state directory's, so
 * that no state touches another's.
 */
#ifndef FORGE_VM_CGROUP_VM_H
#define FORGE_VM_CGROUP_VM_H

#include "lib/vm/cgroup.h"

struct state;
struct vm_spec;

/* With name "", the prefix of all; caller frees. */
char *vm_cgroup_id(struct state *st, const char *name);

/*
 * The cgroup of a VM that is about to boot, with its limits: memory is the
 * guest's and what the hypervisor needs beside it.  Where the host has no
 * cgroups for us *ret is empty, unless the spec asks for a limit that only
 * cgroups keep: ERR_LIMIT.
 */
int vm_cgroup_make(struct state *st, const struct vm_spec *spec,
	struct cgroup *ret, struct err *err)
	__attribute__((warn_unused_result));

bool vm_cgroup_oom(struct state *st, const char *name);

/*
 * Kill what is in it and remove it; success where there is none.  host, as
 * cgroup_make() left it, saves looking for it; or NULL.
 */
int vm_cgroup_remove(struct state *st, const char *name,
	const struct cgroup_host *host, struct err *err)
	__attribute__((warn_unused_result));

#endif
