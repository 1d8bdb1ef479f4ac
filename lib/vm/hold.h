/*
 * hold: keep a VM for a look at it: while it is held it does not end by
 * --ttl, --idle, --timeout or because its command ended.  What a person, a
 * signal or a crash does to it is not held up.
 */
#ifndef FORGE_VM_HOLD_H
#define FORGE_VM_HOLD_H

#include <stdint.h>
#include "lib/base/err.h"

struct state;
struct db;

/* Wall ms: later than any time. */
#define HOLD_FOREVER INT64_C(8640000000000000)

/* Until that wall time, ms; a second hold replaces the first.
 * ERR_NOTFOUND when it does not run. */
int vm_hold(struct state *st, const char *name, int64_t until,
	struct err *err) __attribute__((warn_unused_result));
/* What should have ended it meanwhile does so now.  ERR_NOTFOUND when it
 * does not run; one that is not held is success. */
int vm_unhold(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* 0 when it is not held. */
int vm_held(struct db *db, const char *name, int64_t *ret_until,
	struct err *err) __attribute__((warn_unused_result));

#endif
