/*
 * clock: two clocks, both in milliseconds, never mixed up.
 */
#ifndef FORGE_BASE_CLOCK_H
#define FORGE_BASE_CLOCK_H

#include <stdint.h>
#include <stddef.h>

/* Wall clock, ms since 1970 UTC: for what is stored or shown. */
int64_t clock_wall(void);
/* Monotonic, ms: for deadlines within one boot. */
int64_t clock_mono(void);
/* ms left until the monotonic deadline, for poll(2): 0 when past, -1 when
 * deadline is negative (never), at most INT_MAX. */
int clock_left(int64_t deadline);
/* "2026-11-21T05:27:48.123Z" into at least 25 bytes; returns buf. */
char *clock_format(int64_t wall_ms, char *buf, size_t size);
/* Parse that form, fraction optional, "Z" only.  -1 when it is not one. */
int64_t clock_parse(const char *s);

#endif
