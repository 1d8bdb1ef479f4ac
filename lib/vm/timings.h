/*
 * timings: where the time of a boot went, phase by phase.
 *
 *	timings_begin(&t);
 *	... timings_lap(&t, TIMING_LEASE) ...	what passed since the last lap
 *	timings_hello(&t, init_us, hello_us);	instead of a lap, at HELLO
 *	timings_lap(&t, TIMING_AGENT);		at READY
 *
 * From the fork to HELLO the guest says how it was: microseconds of its
 * uptime when its PID 1 began, and when it said HELLO.  What it says is
 * cut to what passed here.
 */
#ifndef FORGE_VM_TIMINGS_H
#define FORGE_VM_TIMINGS_H

#include <stdint.h>
#include "lib/base/json.h"

enum timing {
	TIMING_LEASE, /* configuration, locks, row and address */
	TIMING_CLONE, /* its directory, and what it writes to */
	TIMING_TAP, /* its network on the host */
	TIMING_FORK, /* cgroup, and the driver until its exec */
	TIMING_HYPERVISOR, /* until the guest's kernel runs */
	TIMING_KERNEL, /* until its PID 1 runs; 0 in a place */
	TIMING_INIT, /* until it says HELLO */
	TIMING_AGENT, /* told who it is, root mounted, ready */
	TIMING__MAX,
};

struct timings {
	int64_t last; /* monotonic ns */
	int64_t ns[TIMING__MAX];
};

void timings_begin(struct timings *t);
void timings_lap(struct timings *t, enum timing phase);
void timings_hello(struct timings *t, int64_t init_us, int64_t hello_us);

/* {"lease":1.234, ..., "total":...}: ms. */
struct json *timings_json(const struct timings *t);
/* For people: a line for each phase, and the total. */
void timings_text(const struct timings *t, struct buf *out);

#endif
