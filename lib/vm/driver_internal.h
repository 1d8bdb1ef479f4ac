/*
 * driver_internal: what driver.c (which drivers there are, and what they are
 * asked) and driver_spec.c (what they get to boot with) share.
 */
#ifndef FORGE_VM_DRIVER_INTERNAL_H
#define FORGE_VM_DRIVER_INTERNAL_H

#include "lib/base/json.h"
#include "lib/vm/driver.h"

bool driver_has_net(const struct driver *d, const char *mode);
/* Into o: those keys of [driver "NAME"] that are set, and the owner. */
int driver_put_config(struct state *st, const char *driver, struct json *o,
	struct err *err) __attribute__((warn_unused_result));

#endif
