#include "lib/vm/cgroup_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* ---- reading ---- */

/* A file of one number; "max" and a missing file are -1. */
static int64_t
number(int dir, const char *file)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (!cgroup_read(dir, file, &b) || b.s[0] < '0' || b.s[0] > '9')
		return -1;
	return strtoll(b.s, NULL, 10);
}

/* The value after key in a file of lines "key value"; -1. */
static int64_t
value(int dir, const char *file, const char *key)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t n = strlen(key);
	const char *p;

	if (!cgroup_read(dir, file, &b))
		return -1;
	for (p = b.s; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (!strncmp(p, key, n) && p[n] == ' ')
			return strtoll(p + n + 1, NULL, 10);
	return -1;
}

/* The sum of the numbers after each key, over all devices: "8:0 Read 123"
 * of version 1, "8:0 rbytes=123 wbytes=..." of version 2. */
static int64_t
sum(int dir, const char *file, const char *key)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	int64_t total = 0;
	const char *p;

	if (!cgroup_read(dir, file, &b))
		return -1;
	for (p = b.s; (p = strstr(p, key)); p += strlen(key))
		total += strtoll(p + strlen(key), NULL, 10);
	return total;
}

/* ---- one hierarchy ---- */

static void
read_v2(int dir, struct cgroup_usage *u)
{
	int64_t n = value(dir, "cpu.stat", "usage_usec");

	if (n >= 0 && u->cpu_us < 0)
		u->cpu_us = n;
	if ((n = number(dir, "memory.current")) >= 0) {
		u->memory = n;
		u->memory_peak = number(dir, "memory.peak");
		u->memory_limit = number(dir, "memory.max");
	}
	if ((n = number(dir, "pids.current")) >= 0)
		u->pids = n;
	if ((n = sum(dir, "io.stat", "rbytes=")) >= 0) {
		u->read_bytes = n;
		u->written_bytes = sum(dir, "io.stat", "wbytes=");
	}
}

static void
read_v1(int dir, unsigned controllers, struct cgroup_usage *u)
{
	static const char io[] = "blkio.throttle.io_service_bytes";
	int64_t n;

	if (controllers & 1u << CGROUP_CPUACCT) {
		n = number(dir, "cpuacct.usage");
		u->cpu_us = n < 0 ? -1 : n / 1000;
	}
	if (controllers & 1u << CGROUP_MEMORY) {
		u->memory = number(dir, "memory.usage_in_bytes");
		u->memory_peak = number(dir, "memory.max_usage_in_bytes");
		u->memory_limit = number(dir, "memory.limit_in_bytes");
	}
	if (controllers & 1u << CGROUP_PIDS)
		u->pids = number(dir, "pids.current");
	if (controllers & 1u << CGROUP_IO) {
		u->read_bytes = sum(dir, io, " Read ");
		u->written_bytes = sum(dir, io, " Write ");
	}
}

int
cgroup_usage(const struct cgroup_host *h, const char *id,
	struct cgroup_usage *ret)
{
	struct cgroup_usage u = { -1, -1, -1, -1, -1, -1, -1 };
	int i, found = 0;

	for (i = 0; i < h->n; i++) {
		CLEANUP_CLOSE int dir = cgroup_dir(h, i, id);

		if (dir < 0)
			continue;
		found++;
		if (h->roots[i].v2)
			read_v2(dir, &u);
		else
			read_v1(dir, h->roots[i].controllers, &u);
	}
	if (!found)
		return -1;
	*ret = u;
	return 0;
}

bool
cgroup_oom(const struct cgroup_host *h, const char *id)
{
	bool killed = false;
	int i;

	for (i = 0; i < h->n && !killed; i++) {
		CLEANUP_CLOSE int dir = -1;

		if (!(h->roots[i].controllers & 1u << CGROUP_MEMORY))
			continue;
		dir = cgroup_dir(h, i, id);
		killed = dir >= 0 &&
			value(dir,
				h->roots[i].v2 ? "memory.events" :
						 "memory.oom_control",
				"oom_kill") > 0;
	}
	return killed;
}
