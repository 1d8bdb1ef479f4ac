#include "lib/base/host.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

#define FILE_MAX 65536
#define NONE INT64_MAX

/* The file's text; empty when there is none. */
static void
slurp(const char *root, const char *path, struct buf *ret)
{
	CLEANUP_FREE char *full = xasprintf("%s%s", root, path);
	struct err err = ERR_INIT;

	buf_reset(ret);
	if (fs_read(AT_FDCWD, full, FILE_MAX, ret, &err))
		buf_reset(ret);
}

/* The number after a word that begins a line; -1 without one. */
static int64_t
number_after(const char *text, const char *word)
{
	const char *p = text;
	size_t n = strlen(word);

	for (; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (!strncmp(p, word, n))
			return strtoll(p + n, NULL, 10);
	return -1;
}

static int64_t
number_in(const char *root, const char *dir, const char *file)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, file);
	CLEANUP_BUF struct buf text = BUF_INIT;
	char *end;
	int64_t n;

	slurp(root, path, &text);
	n = strtoll(text.s, &end, 10);
	return end == text.s ? -1 : n; /* "max" */
}

static void
read_meminfo(const char *root, struct host *h)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int64_t total, available;

	slurp(root, "/proc/meminfo", &text);
	total = number_after(text.s, "MemTotal:");
	available = number_after(text.s, "MemAvailable:");
	h->memory = total > 0 ? total * 1024 : NONE;
	h->free_memory = available > 0 ? available * 1024 : NONE;
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- control groups ---- */

struct files {
	const char *limit, *usage, *cache; /* of memory */
	const char *quota, *period; /* of processor time */
};

/* Cached files give way, so they are not counted as used. */
static void
limit_memory(const char *root, const char *dir, const struct files *f,
	struct host *h)
{
	CLEANUP_FREE char *stat = xasprintf("%s/memory.stat", dir);
	CLEANUP_BUF struct buf text = BUF_INIT;
	int64_t limit = number_in(root, dir, f->limit), used, cache;

	if (limit < 0 || limit >= h->memory)
		return;
	used = number_in(root, dir, f->usage);
	slurp(root, stat, &text);
	cache = number_after(text.s, f->cache);
	used -= cache > 0 ? cache : 0;
	h->memory = limit;
	h->free_memory = least(h->free_memory,
		limit > used ? limit - used : 0);
}

static void
limit_cpus(const char *root, const char *dir, const struct files *f,
	struct host *h)
{
	CLEANUP_FREE char *path = xasprintf("%s/cpu.max", dir);
	int64_t quota = number_in(root, dir, f->quota);
	int64_t period = f->period ? number_in(root, dir, f->period) : -1;

	if (!f->period) { /* "200000 100000" in one file */
		CLEANUP_BUF struct buf text = BUF_INIT;
		const char *second;

		slurp(root, path, &text);
		second = strchr(text.s, ' ');
		period = second ? strtoll(second, NULL, 10) : -1;
	}
	if (quota <= 0 || period <= 0)
		return;
	quota = (quota + period - 1) / period;
	h->cores = (int)least(h->cores, quota > 0 ? quota : 1);
}

/* The group and all above it; in a container its path may be another's. */
static void
walk_up(const char *root, const char *mount, const char *group,
	const struct files *f, struct host *h)
{
	CLEANUP_FREE char *dir = xasprintf("%s%s", mount, group);
	size_t n = strlen(mount);

	for (;;) {
		char *slash;

		limit_memory(root, dir, f, h);
		limit_cpus(root, dir, f, h);
		slash = strrchr(dir, '/');
		if (strlen(dir) <= n || !slash)
			return;
		*slash = '\0';
	}
}

static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') &&
			(p[n] == '\0' || p[n] == ','))
			return true;
	return false;
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:/PATH". */
static void
read_group(const char *root, char *line, struct host *h)
{
	static const struct files v1 = { "memory.limit_in_bytes",
		"memory.usage_in_bytes", "total_inactive_file ",
		"cpu.cfs_quota_us", "cpu.cfs_period_us" };
	static const struct files v2 = { "memory.max", "memory.current",
		"inactive_file ", "cpu.max", NULL };
	char *list = strchr(line, ':'), *path;

	if (!list || !(path = strchr(++list, ':')))
		return;
	*path++ = '\0';
	if (strstr(path, "..") || path[0] != '/')
		return; /* outside of what we can see */
	if (!*list) {
		walk_up(root, "/sys/fs/cgroup", path, &v2, h);
		walk_up(root, "/sys/fs/cgroup/unified", path, &v2, h);
	} else if (has_word(list, "memory")) {
		walk_up(root, "/sys/fs/cgroup/memory", path, &v1, h);
	} else if (has_word(list, "cpu")) {
		walk_up(root, "/sys/fs/cgroup/cpu", path, &v1, h);
	}
}

static void
read_groups(const char *root, struct host *h)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	char *line, *rest;

	slurp(root, "/proc/self/cgroup", &text);
	for (line = text.s; *line; line = rest) {
		rest = strchrnul(line, '\n');
		if (*rest)
			*rest++ = '\0';
		read_group(root, line, h);
	}
}

void
host_measure(const char *root, struct host *ret)
{
	cpu_set_t set;

	ret->cores = sched_getaffinity(0, sizeof(set), &set) ? 1 :
							       CPU_COUNT(&set);
	read_meminfo(root, ret);
	read_groups(root, ret);
	if (ret->cores < 1)
		ret->cores = 1;
}

int64_t
host_free_disk(int dirfd)
{
	struct statvfs s;

	if (fstatvfs(dirfd, &s))
		return NONE;
	return (int64_t)(s.f_bavail * s.f_frsize);
}
