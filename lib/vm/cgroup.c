#include "lib/vm/cgroup.h"
#include "lib/vm/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define PERIOD 100000 /* us in which a processor's share is counted */
#define TRIES 5 /* a base may be swept away under our feet */

static bool
has(const struct cgroup_root *r, enum cgroup_controller c)
{
	return r->controllers & 1u << c;
}

/* -1 with errno; files of cgroups take a value by one write. */
static int
put(int dir, const char *file, const char *value)
{
	CLEANUP_CLOSE int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	ssize_t n = (ssize_t)strlen(value);

	if (fd < 0)
		return -1;
	return write(fd, value, (size_t)n) == n ? 0 : -1;
}

static int __attribute__((format(printf, 4, 5)))
set(int dir, const char *file, struct err *err, const char *fmt, ...)
{
	CLEANUP_FREE char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	if (!put(dir, file, value))
		return 0;
	return err_sys(err, "cannot set the limit %s to '%s'", file, value);
}

/* ---- limits ---- */

/* The kernel gives some of these files only where it has the feature. */
static bool
exists(int dir, const char *file)
{
	return !faccessat(dir, file, W_OK, 0);
}

static int
limit_memory(const struct cgroup_root *r, int dir,
	const struct cgroup_limits *l, struct err *err)
{
	if (!has(r, CGROUP_MEMORY) || !l->memory)
		return 0;
	if (set(dir, r->v2 ? "memory.max" : "memory.limit_in_bytes", err,
		    "%" PRId64, l->memory))
		return -1;
	if (!r->v2)
		return exists(dir, "memory.memsw.limit_in_bytes") ?
			set(dir, "memory.memsw.limit_in_bytes", err,
				"%" PRId64, l->memory) :
			0;
	/* No way out through swap, and nothing of it left half alive. */
	if (exists(dir, "memory.swap.max") &&
		set(dir, "memory.swap.max", err, "0"))
		return -1;
	return exists(dir, "memory.oom.group") ?
		set(dir, "memory.oom.group", err, "1") :
		0;
}

static int
limit_cpu(const struct cgroup_root *r, int dir, const struct cgroup_limits *l,
	struct err *err)
{
	if (!has(r, CGROUP_CPU) || !l->cpus)
		return 0;
	if (r->v2)
		return set(dir, "cpu.max", err, "%d %d", l->cpus * PERIOD,
			PERIOD);
	return set(dir, "cpu.cfs_period_us", err, "%d", PERIOD) ||
			set(dir, "cpu.cfs_quota_us", err, "%d",
				l->cpus * PERIOD) ?
		-1 :
		0;
}

/* Version 2 knows one weight; version 1 has one for each scheduler. */
static int
limit_weight(const struct cgroup_root *r, int dir, int weight,
	struct err *err)
{
	int v1 = weight < 10 ? 10 : weight > 1000 ? 1000 : weight;

	if (r->v2 && exists(dir, "io.weight"))
		return set(dir, "io.weight", err, "%d", weight);
	if (exists(dir, "io.bfq.weight"))
		return set(dir, "io.bfq.weight", err, "%d", v1);
	if (exists(dir, "blkio.bfq.weight"))
		return set(dir, "blkio.bfq.weight", err, "%d", v1);
	if (exists(dir, "blkio.weight"))
		return set(dir, "blkio.weight", err, "%d", v1);
	return err_set(err, ERR_LIMIT,
		"--io-weight: no I/O scheduler of this host knows weights");
}

static int
limit_rate(const struct cgroup_root *r, int dir,
	const struct cgroup_limits *l, struct err *err)
{
	unsigned a = major(l->disk), b = minor(l->disk);

	if (!a)
		return err_set(err, ERR_LIMIT,
			"--disk-rate: the state directory is not on a disk "
			"of its own");
	if (r->v2)
		return set(dir, "io.max", err,
			"%u:%u rbps=%" PRId64 " wbps=%" PRId64, a, b,
			l->disk_rate, l->disk_rate);
	return set(dir, "blkio.throttle.read_bps_device", err,
		       "%u:%u %" PRId64, a, b, l->disk_rate) ||
			set(dir, "blkio.throttle.write_bps_device", err,
				"%u:%u %" PRId64, a, b, l->disk_rate) ?
		-1 :
		0;
}

static int
limit(const struct cgroup_root *r, int dir, const struct cgroup_limits *l,
	struct err *err)
{
	if (limit_memory(r, dir, l, err) || limit_cpu(r, dir, l, err))
		return -1;
	if (has(r, CGROUP_PIDS) && l->pids &&
		set(dir, "pids.max", err, "%d", l->pids))
		return -1;
	if (!has(r, CGROUP_IO))
		return 0;
	if (l->io_weight && limit_weight(r, dir, l->io_weight, err))
		return -1;
	return l->disk_rate ? limit_rate(r, dir, l, err) : 0;
}

static int
check(const struct cgroup_host *h, const struct cgroup_limits *l,
	struct err *err)
{
	const char *what = NULL;

	if (l->pids && !(h->controllers & 1u << CGROUP_PIDS))
		what = "--pids";
	else if (!(h->controllers & 1u << CGROUP_IO) && l->io_weight)
		what = "--io-weight";
	else if (!(h->controllers & 1u << CGROUP_IO) && l->disk_rate)
		what = "--disk-rate";
	if (!what)
		return 0;
	return err_set(err, ERR_LIMIT,
		"%s cannot be kept: %s; see 'forge-vm doctor'", what,
		h->n ? "the kernel does not offer that limit here" : h->why);
}

/* ---- making ---- */

/* Hand the controllers down; those it refuses are seen by their limits. */
static void
hand_down(int dir, unsigned controllers)
{
	static const char *const names[CGROUP__MAX] = {
		[CGROUP_MEMORY] = "+memory", [CGROUP_CPU] = "+cpu",
		[CGROUP_PIDS] = "+pids", [CGROUP_IO] = "+io" };
	int i;

	for (i = 0; i < CGROUP__MAX; i++)
		if (names[i] && controllers & 1u << i)
			(void)put(dir, "cgroup.subtree_control", names[i]);
}

static int
make_base(const struct cgroup_root *r, struct err *err)
{
	CLEANUP_CLOSE int top = open(r->path,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int base = -1;

	if (top < 0)
		return err_sys(err, "cannot open '%s'", r->path);
	if (mkdirat(top, CGROUP_BASE, 0755)) {
		if (errno == EEXIST)
			return 0;
		return err_sys(err, "cannot make '%s/" CGROUP_BASE "'",
			r->path);
	}
	if (!r->v2)
		return 0;
	hand_down(top, r->controllers);
	base = openat(top, CGROUP_BASE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base >= 0)
		hand_down(base, r->controllers);
	return 0;
}

static int
make_dir(const struct cgroup_root *r, const char *id, int *ret,
	struct err *err)
{
	CLEANUP_FREE char *path =
		xasprintf("%s/" CGROUP_BASE "/%s", r->path, id);
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (mkdir(path, 0755) && errno != EEXIST) {
			if (errno != ENOENT)
				break;
			if (make_base(r, err))
				return -1;
			continue;
		}
		*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*ret >= 0)
			return 0;
		if (errno != ENOENT)
			break;
	}
	return err_sys(err, "cannot make the cgroup '%s'", path);
}

static int
make_one(const struct cgroup_root *r, const char *id,
	const struct cgroup_limits *l, struct cgroup *g, struct err *err)
{
	int dir, fd;

	if (make_dir(r, id, &dir, err))
		return -1;
	g->dirs[g->n++] = dir;
	if (limit(r, dir, l, err))
		return -1;
	if (r->v2 && g->join.into < 0) {
		g->join.into = dir;
		return 0;
	}
	/* A single thread moves at once; for "cgroup.procs" the kernel would
	 * wait some 10 ms until all others see that nothing may fork. */
	fd = openat(dir, r->v2 ? "cgroup.procs" : "tasks",
		O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open the tasks of '%s'", id);
	g->join.join[g->join.njoin++] = fd;
	return 0;
}

int
cgroup_make(const struct cgroup_host *h, const char *id,
	const struct cgroup_limits *l, struct cgroup *ret, struct err *err)
{
	struct err second = ERR_INIT;
	int i;

	*ret = CGROUP_INIT;
	if (check(h, l, err))
		return -1;
	ret->host = *h;
	for (i = 0; i < h->n; i++)
		if (make_one(&h->roots[i], id, l, ret, err)) {
			cgroup_release(ret);
			if (cgroup_remove(h, id, &second))
				return -1; /* the first error is the one */
			return -1;
		}
	return 0;
}

void
cgroup_release(struct cgroup *g)
{
	int i;

	for (i = 0; i < g->n; i++)
		cleanup_close(&g->dirs[i]);
	for (i = 0; i < g->join.njoin; i++)
		cleanup_close(&g->join.join[i]);
	*g = CGROUP_INIT;
}

int
cgroup_dir(const struct cgroup_host *h, int i, const char *id)
{
	CLEANUP_FREE char *path =
		xasprintf("%s/" CGROUP_BASE "/%s", h->roots[i].path, id);

	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool
cgroup_read(int dir, const char *file, struct buf *ret)
{
	struct err err = ERR_INIT;

	buf_reset(ret);
	return !fs_read(dir, file, 1u << 20, ret, &err);
}
