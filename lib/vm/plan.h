/*
 * plan: what a boot would do, without doing it.
 */
#ifndef FORGE_VM_PLAN_H
#define FORGE_VM_PLAN_H

#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct vm_spec;

/*
 * {"spec":..., "argv":[...], "changes":["..."]}: the driver's spec with the
 * address that would be leased next, the hypervisor's exact argv (fds 3
 * to 5 stand for the inherited sockets), and every change to the host.
 */
int vm_plan(struct state *st, const struct vm_spec *spec, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
