/*
 * cgroup: what hosts look like from their mounts, and real cgroups where this
 * process may make them: on any version, so forge-vm-limits.bats runs it in a
 * guest with version 2 as well.
 */
#include "lib/vm/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

_Noreturn static void
die(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(1);
}

static void
put(const char *path, const char *text)
{
	struct err err = ERR_INIT;

	if (fs_replace(AT_FDCWD, path, text, strlen(text), 0644, &err))
		die(err.msg);
}

static void
make_fixture(void)
{
	struct err err = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, "v2/user/app", 0755, &err) ||
		fs_mkdirs(AT_FDCWD, "memory", 0755, &err) ||
		fs_mkdirs(AT_FDCWD, "cpu", 0755, &err))
		die(err.msg);
	put("v2/cgroup.controllers", "cpuset cpu io memory pids\n");
	put("v2/user/cgroup.controllers", "memory pids\n");
	put("v2/user/cgroup.procs", "");
}

static void
parse(const char *own, bool root, struct cgroup_host *h, const char *fmt)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const char *p;

	for (p = fmt; *p; p++)
		if (*p == '@')
			buf_adds(&b, tmp_path);
		else
			buf_addc(&b, *p);
	cgroup_host_parse(b.s, own, root, h);
}

#define BIT(c) (1u << CGROUP_##c)

static void
test_parse(void)
{
	static const char v2[] = "30 24 0:26 / @/v2 rw,nosuid shared:4 - "
		"cgroup2 cgroup2 rw,nsdelegate\n";
	static const char v1[] =
		"21 1 0:5 / /proc rw - proc proc rw\n"
		"31 24 0:27 / @/memory rw - cgroup cgroup rw,memory\n"
		"32 24 0:28 / @/cpu rw shared:9 - cgroup cgroup "
		"rw,cpu,cpuacct\n"
		"33 24 0:29 / @/v2 rw - cgroup cgroup rw,name=systemd\n"
		"34 24 0:29 / @/gone rw - cgroup cgroup rw,pids\n";
	CLEANUP_FREE char *both = xasprintf("%s%s", v1, v2);
	struct cgroup_host h;

	parse("0::/\n", true, &h, v2);
	is_int(h.n, 1, "version 2: one hierarchy");
	is_str(h.version, "version 2", "version 2: its name");
	is_int(h.controllers,
		BIT(CPU) | BIT(IO) | BIT(MEMORY) | BIT(PIDS),
		"version 2: the controllers that are offered");

	parse("", true, &h, v1);
	is_int(h.n, 2, "version 1: those that can be written to");
	is_str(h.version, "version 1", "version 1: its name");
	is_int(h.controllers, BIT(CPU) | BIT(CPUACCT) | BIT(MEMORY),
		"version 1: by the mounts' options");

	parse("", true, &h, both);
	is_int(h.n, 3, "hybrid: all of them");
	is_str(h.version, "hybrid", "hybrid: its name");

	parse("1:memory:/x\n0::/user/app\n", false, &h, both);
	is_int(h.n, 1, "a user: beside the own cgroup");
	ok(strstr(h.roots[0].path, "/v2/user") &&
			!strstr(h.roots[0].path, "app"),
		"a user: the delegated one");
	is_int(h.controllers, BIT(MEMORY) | BIT(PIDS),
		"a user: what was delegated");
	parse("0::/nothere/app\n", false, &h, v2);
	is_int(h.n, 0, "a user without delegation: none");
	is_str(h.why, "no cgroup is delegated to this user", "and why");
	parse("0::/\n", false, &h, v2);
	is_int(h.n, 0, "a user in the root cgroup: none");
	parse("", true, &h, "1 2\nx - \n\n - cgroup2\n9 9 9 9 9 9 - cgroup");
	is_int(h.n, 0, "broken lines: none");
	is_str(h.why, "no cgroup file system can be written to", "and why");
}

/* ---- real ones ---- */

#define ID "forge-unit-cgroup"

static int
count(const char *id, void *arg)
{
	if (!strcmp(id, ID))
		++*(int *)arg;
	return 0;
}

static int
seen(const struct cgroup_host *h)
{
	int n = 0;

	if (cgroup_each(h, "forge-unit", count, &n))
		return -1;
	return n;
}

/* A shell with a child, both in the cgroup. */
static void
start(const struct cgroup *g, const char *script, struct child *ret)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	struct err err = ERR_INIT;

	argv_push(&p.argv, "sh");
	argv_push(&p.argv, "-c");
	argv_push(&p.argv, script);
	p.cgroup = &g->join;
	p.out = PROC_PIPE;
	p.err = PROC_NULL;
	if (proc_spawn(&p, ret, &err))
		die(err.msg);
}

static void
finish(struct child *c, struct proc_status *ret)
{
	struct err err = ERR_INIT;

	if (proc_wait(c, clock_mono() + 10000, ret, &err))
		die(err.msg);
	child_close(c);
}

static void
test_life(const struct cgroup_host *h)
{
	const struct cgroup_limits l = { .memory = 64 << 20, .cpus = 1,
		.pids = h->controllers & BIT(PIDS) ? 24 : 0 };
	struct cgroup_usage u;
	struct proc_status status;
	struct child c = CHILD_INIT;
	struct cgroup g = CGROUP_INIT;
	struct err err = ERR_INIT;
	char up[4] = "";

	ok(!cgroup_make(h, ID, &l, &g, &err), "made");
	is_int(seen(h), 1, "it is listed once");
	start(&g, "sleep 600 & echo up; exec sleep 601", &c);
	is_int(read(c.out, up, 3), 3, "a process begins in it");
	ok(!cgroup_usage(h, ID, &u), "its usage can be read");
	if (h->controllers & BIT(PIDS))
		is_int(u.pids, 2, "both processes are counted");
	if (h->controllers & BIT(MEMORY))
		is_int(u.memory_limit, 64 << 20, "the limit is there");
	ok(u.cpu_us > 0 || !(h->controllers & (BIT(CPUACCT) | BIT(CPU))),
		"processor time is counted");
	cgroup_release(&g);
	ok(!cgroup_remove(h, ID, &err), "removed with what is in it");
	finish(&c, &status);
	ok(status.signaled && status.value == SIGKILL, "they were killed");
	is_int(seen(h), 0, "it is gone");
	ok(!cgroup_remove(h, ID, &err), "removed twice is success");
	ok(cgroup_usage(h, ID, &u) == -1, "no usage of what is gone");
}

static void
test_memory(const struct cgroup_host *h)
{
	const struct cgroup_limits l = { .memory = 16 << 20 };
	struct cgroup g = CGROUP_INIT;
	struct child c = CHILD_INIT;
	struct proc_status status;
	struct err err = ERR_INIT;

	if (cgroup_make(h, ID, &l, &g, &err))
		die(err.msg);
	ok(!cgroup_oom(h, ID), "memory: nothing was killed yet");
	start(&g, "exec dd if=/dev/zero of=/dev/null bs=64M count=1", &c);
	finish(&c, &status);
	ok(status.signaled && status.value == SIGKILL,
		"memory: what takes more is killed");
	ok(cgroup_oom(h, ID), "memory: and that is known");
	cgroup_release(&g);
	ok(!cgroup_remove(h, ID, &err), "memory: removed");
}

/* A fork bomb ends at its limit, and all of it at one blow. */
static void
test_pids(const struct cgroup_host *h)
{
	const struct cgroup_limits l = { .pids = 24 };
	struct cgroup g = CGROUP_INIT;
	struct child c = CHILD_INIT;
	struct cgroup_usage u;
	struct proc_status status;
	struct err err = ERR_INIT;
	char up[4] = "";

	if (cgroup_make(h, ID, &l, &g, &err))
		die(err.msg);
	start(&g, "b() { b & b; }; echo up; b", &c);
	is_int(read(c.out, up, 3), 3, "a fork bomb begins");
	(void)usleep(200000);
	ok(!cgroup_usage(h, ID, &u) && u.pids <= 24,
		"it is no larger than its limit");
	cgroup_release(&g);
	ok(!cgroup_remove(h, ID, &err), "it is ended");
	finish(&c, &status);
	ok(cgroup_usage(h, ID, &u) == -1, "and gone");
}

static void
test_refused(void)
{
	struct cgroup_host none = { .why = "it is a test" };
	struct cgroup g = CGROUP_INIT;
	struct err err = ERR_INIT;

	ok(!cgroup_make(&none, ID,
		   &(struct cgroup_limits){ .memory = 1, .cpus = 1 }, &g,
		   &err) && g.join.into == -1 && !g.join.njoin,
		"no cgroups: memory and cpus are the hypervisor's");
	is_int(cgroup_make(&none, ID, &(struct cgroup_limits){ .pids = 1 },
		       &g, &err), -1, "no cgroups: pids is refused");
	is_int(err.code, ERR_LIMIT, "with its code");
	is_str(err.msg, "--pids cannot be kept: it is a test; "
			"see 'forge-vm doctor'", "and why");
}

int
main(void)
{
	struct cgroup_host h;

	tmp_enter();
	make_fixture();
	test_parse();
	test_refused();
	cgroup_host_find(&h);
	printf("# this host: %s\n", h.version);
	if (!h.n) {
		skip("real cgroups", h.why);
	} else {
		test_life(&h);
		if (h.controllers & BIT(MEMORY))
			test_memory(&h);
		if (h.controllers & BIT(PIDS))
			test_pids(&h);
		cgroup_sweep(&h);
	}
	tmp_leave();
	return done();
}
