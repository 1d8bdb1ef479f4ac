#include "lib/vm/timings.h"

#include <time.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const char *const names[] = { "lease", "clone", "tap", "fork",
	"hypervisor", "kernel", "init", "agent" };
_Static_assert(ARRAY_SIZE(names) == TIMING__MAX, "a name for each phase");

static int64_t
now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void
timings_begin(struct timings *t)
{
	*t = (struct timings){ .last = now() };
}

void
timings_lap(struct timings *t, enum timing phase)
{
	int64_t at = now();

	t->ns[phase] += at - t->last;
	t->last = at;
}

/*
 * A place has the host's uptime, so that its PID 1 began longer ago than all
 * of this took: then there was no kernel to wait for.
 */
void
timings_hello(struct timings *t, int64_t init_us, int64_t hello_us)
{
	int64_t at = now(), all = at - t->last, init, kernel = 0;

	t->last = at;
	if (init_us < 0 || init_us > hello_us || hello_us > INT64_MAX / 1000)
		init_us = hello_us = 0;
	init = (hello_us - init_us) * 1000;
	if (init > all)
		init = all;
	if (init_us * 1000 <= all - init)
		kernel = init_us * 1000;
	t->ns[TIMING_INIT] = init;
	t->ns[TIMING_KERNEL] = kernel;
	t->ns[TIMING_HYPERVISOR] = all - init - kernel;
}

static double
ms(int64_t ns)
{
	int64_t us = ns / 1000; /* three places are enough */

	return (double)us / 1000;
}

static int64_t
total(const struct timings *t)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < TIMING__MAX; i++)
		sum += t->ns[i];
	return sum;
}

struct json *
timings_json(const struct timings *t)
{
	struct json *o = json_object();
	int i;

	for (i = 0; i < TIMING__MAX; i++)
		json_put_num(o, names[i], ms(t->ns[i]));
	json_put_num(o, "total", ms(total(t)));
	return o;
}

void
timings_text(const struct timings *t, struct buf *out)
{
	int i;

	for (i = 0; i < TIMING__MAX; i++)
		buf_addf(out, "%-10s %10.3f ms\n", names[i], ms(t->ns[i]));
	buf_addf(out, "%-10s %10.3f ms\n", "total", ms(total(t)));
}
