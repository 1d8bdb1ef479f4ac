#include "lib/vm/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define REMOVE_WAIT 5000 /* ms for killed processes to be gone */

/* ---- killing ---- */

/* Where it does not work, the loop over the processes does. */
static bool
write_word(int dir, const char *file, const char *text)
{
	CLEANUP_CLOSE int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) > 0;
}

void
cgroup_kill(const struct cgroup *g)
{
	int i;

	for (i = 0; i < g->n; i++)
		if (g->host.roots[i].v2)
			(void)write_word(g->dirs[i], "cgroup.kill", "1");
}

static bool
kill_listed(int dir)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	bool any = false;
	char *p, *end;

	if (!cgroup_read(dir, "cgroup.procs", &b))
		return false;
	for (p = b.s; *p; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		any = true;
		if (pid > 1 && pid != getpid())
			(void)kill((pid_t)pid, SIGKILL);
		end += strspn(end, "\n");
	}
	return any;
}

static void
kill_in(const struct cgroup_root *r, int dir)
{
	bool freezer = r->controllers & 1u << CGROUP_FREEZER;

	if (r->v2)
		(void)write_word(dir, "cgroup.kill", "1");
	if (freezer)
		(void)write_word(dir, "freezer.state", "FROZEN");
	(void)kill_listed(dir); /* none are left, mostly */
	if (freezer)
		(void)write_word(dir, "freezer.state", "THAWED");
}

static void
kill_all(const struct cgroup_host *h, const char *id)
{
	int i;

	for (i = 0; i < h->n; i++) {
		CLEANUP_CLOSE int dir = cgroup_dir(h, i, id);

		if (dir >= 0)
			kill_in(&h->roots[i], dir);
	}
}

/*
 * Version 2 kills all at one blow, also what forks without end.  What is only
 * in another hierarchy, or killed so and not yet gone, is seen by the next
 * try, which is for the loop.
 */
static bool
kill_at_once(const struct cgroup_host *h, const char *id)
{
	bool done = false;
	int i;

	for (i = 0; i < h->n; i++) {
		CLEANUP_CLOSE int dir = h->roots[i].v2 ?
			cgroup_dir(h, i, id) : -1;

		if (dir >= 0 && write_word(dir, "cgroup.kill", "1"))
			done = true;
	}
	return done;
}

/* ---- removing ---- */

/* 1 removed or not there, 0 still in use, -1 with errno. */
static int
remove_dir(const struct cgroup_root *r, const char *id)
{
	CLEANUP_FREE char *path =
		xasprintf("%s/" CGROUP_BASE "/%s", r->path, id);

	if (!rmdir(path) || errno == ENOENT)
		return 1;
	return errno == EBUSY ? 0 : -1;
}

/* 1 when all are gone. */
static int
remove_all(const struct cgroup_host *h, const char *id, struct err *err)
{
	int i, rc, all = 1;

	for (i = 0; i < h->n; i++) {
		rc = remove_dir(&h->roots[i], id);
		if (rc < 0)
			return err_sys(err, "cannot remove the cgroup '%s'",
				id);
		if (!rc)
			all = 0;
	}
	return all;
}

int
cgroup_remove(const struct cgroup_host *h, const char *id, struct err *err)
{
	int64_t deadline = clock_mono() + REMOVE_WAIT;
	struct timespec ts = { .tv_nsec = 100000 };
	int rc;

	for (;;) {
		rc = remove_all(h, id, err);
		if (rc)
			return rc < 0 ? -1 : 0;
		/* The heavy way is for those that the light one left. */
		if (ts.tv_nsec > 3000000 || !kill_at_once(h, id))
			kill_all(h, id);
		if (!clock_left(deadline))
			return err_set(err, ERR_BUSY,
				"the cgroup '%s' has processes that cannot be "
				"killed", id);
		(void)nanosleep(&ts, NULL);
		if (ts.tv_nsec < 50000000)
			ts.tv_nsec *= 2;
	}
}

/* ---- looking ---- */

static void
collect(const struct cgroup_root *r, const char *prefix, struct argv *ret)
{
	CLEANUP_FREE char *path = xasprintf("%s/" CGROUP_BASE, r->path);
	DIR *d = opendir(path);
	struct dirent *e;
	size_t i;

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
			strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		for (i = 0; i < ret->n; i++)
			if (!strcmp(ret->v[i], e->d_name))
				break;
		if (i == ret->n)
			argv_push(ret, e->d_name);
	}
	if (d)
		(void)closedir(d); /* read only */
}

int
cgroup_each(const struct cgroup_host *h, const char *prefix,
	int (*emit)(const char *id, void *arg), void *arg)
{
	CLEANUP_ARGV struct argv ids = ARGV_INIT;
	size_t k;
	int i, rc = 0;

	for (i = 0; i < h->n; i++)
		collect(&h->roots[i], prefix, &ids);
	for (k = 0; !rc && k < ids.n; k++)
		rc = emit(ids.v[k], arg);
	return rc;
}

void
cgroup_sweep(const struct cgroup_host *h)
{
	int i;

	for (i = 0; i < h->n; i++) {
		CLEANUP_FREE char *path =
			xasprintf("%s/" CGROUP_BASE, h->roots[i].path);

		(void)rmdir(path); /* refused while a VM lives in it */
	}
}
