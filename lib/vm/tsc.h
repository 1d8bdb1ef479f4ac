/*
 * tsc: the rate of this machine's time-stamp counter.
 *
 * Under TCG the guest reads the host's counter but cannot calibrate it (a
 * microvm has no PIT or HPET that would help): without being told it hangs
 * at boot now and then.
 */
#ifndef FORGE_VM_TSC_H
#define FORGE_VM_TSC_H

#include <stdint.h>
#include "lib/base/err.h"

struct state;

/* kHz; measured over 10 ms once per boot of the host, then remembered in
 * cache/tsc.  0 on machines without the counter. */
int tsc_khz(struct state *st, int64_t *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
