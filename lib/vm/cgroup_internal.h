/*
 * cgroup_internal: what cgroup.c (make and remove) and cgroup_usage.c (read)
 * share.
 */
#ifndef FORGE_VM_CGROUP_INTERNAL_H
#define FORGE_VM_CGROUP_INTERNAL_H

#include "lib/base/buf.h"
#include "lib/vm/cgroup.h"

/* The directory of id below root i, O_PATH not set; -1 with errno. */
int cgroup_dir(const struct cgroup_host *h, int i, const char *id);
/* A small file of the directory; false when there is none. */
bool cgroup_read(int dir, const char *file, struct buf *ret);

#endif
