#include "lib/vm/tsc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define CACHE "cache/tsc"

static int64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
measure(void)
{
#if defined(__x86_64__)
	struct timespec ten = { .tv_nsec = 10000000 };
	uint64_t t0 = __builtin_ia32_rdtsc();
	int64_t n0 = now_ns(), n1;
	uint64_t t1;

	(void)nanosleep(&ten, NULL); /* shorter is no harm */
	n1 = now_ns();
	t1 = __builtin_ia32_rdtsc();
	return (int64_t)((double)(t1 - t0) * 1e6 / (double)(n1 - n0));
#else
	return 0;
#endif
}

/* "BOOT-ID KHZ" of this boot, or nothing. */
static int
remembered(struct state *st, int64_t *ret)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_ARGV struct argv words = ARGV_INIT;
	struct err err = ERR_INIT;

	if (fs_read(state_dir(st), CACHE, 256, &b, &err))
		return -1;
	argv_split(&words, b.s);
	if (words.n != 2 || strcmp(words.v[0], boot_id()) != 0)
		return -1;
	return parse_i64(words.v[1], 1, INT64_MAX, CACHE, ret, &err);
}

int
tsc_khz(struct state *st, int64_t *ret, struct err *err)
{
	CLEANUP_FREE char *text = NULL;

	if (!remembered(st, ret))
		return 0;
	*ret = measure();
	text = xasprintf("%s %" PRId64 "\n", boot_id(), *ret);
	if (fs_mkdirs(state_dir(st), "cache", 0700, err))
		return -1;
	return fs_replace(state_dir(st), CACHE, text, strlen(text), 0600, err);
}
