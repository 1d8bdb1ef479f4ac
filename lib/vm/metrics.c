#include "lib/vm/metrics.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/state/state.h"
#include "lib/vm/cgroup_vm.h"
#include "lib/vm/net.h"
#include "lib/base/banned.h"

/* ---- without a cgroup: the hypervisor's own numbers ---- */

static bool
read_proc(pid_t pid, const char *file, struct buf *b)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%d/%s", (int)pid, file);
	struct err err = ERR_INIT;

	buf_reset(b);
	return !fs_read(AT_FDCWD, path, 65536, b, &err);
}

/* The number after key, -1. */
static int64_t
after(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtoll(p + strlen(key), NULL, 10) : -1;
}

/* Fields 14 and 15 of stat, after the name, which may hold anything. */
static int64_t
cpu_of(const char *stat)
{
	unsigned long long user, system;
	const char *p = strrchr(stat, ')');
	char *end;
	int field;

	for (field = 2; p && field < 14; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -1;
	user = strtoull(p, &end, 10);
	system = strtoull(end, &end, 10);
	if (*end != ' ')
		return -1;
	return (int64_t)((user + system) * 1000000 /
		(unsigned long long)sysconf(_SC_CLK_TCK));
}

static void
of_process(pid_t pid, struct cgroup_usage *u)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	int64_t n;

	*u = (struct cgroup_usage){ -1, -1, -1, -1, -1, -1, -1 };
	if (read_proc(pid, "stat", &b))
		u->cpu_us = cpu_of(b.s);
	if (read_proc(pid, "status", &b)) {
		n = after(b.s, "VmRSS:");
		u->memory = n < 0 ? -1 : n * 1024;
		n = after(b.s, "VmHWM:");
		u->memory_peak = n < 0 ? -1 : n * 1024;
		u->pids = after(b.s, "Threads:");
	}
	if (read_proc(pid, "io", &b)) {
		u->read_bytes = after(b.s, "\nread_bytes:");
		u->written_bytes = after(b.s, "\nwrite_bytes:");
	}
}

/* ---- the network: a tap of the VM's own ---- */

/* "" when it has none. */
static void
tap_of(const struct json *row, char ret[TAP_SIZE])
{
	struct in_addr a;

	*ret = '\0';
	if (!strcmp(json_str(row, "net", ""), "tap") &&
		inet_pton(AF_INET, json_str(row, "address", ""), &a) == 1)
		net_tap_name(ntohl(a.s_addr), ret);
}

static int64_t
counter(const char *tap, const char *name)
{
	CLEANUP_FREE char *path =
		xasprintf("/sys/class/net/%s/statistics/%s", tap, name);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	if (fs_read(AT_FDCWD, path, 64, &b, &err))
		return -1;
	return strtoll(b.s, NULL, 10);
}

/* ---- together ---- */

static void
put(struct json *o, const char *key, int64_t n)
{
	if (n < 0)
		json_put_str(o, key, NULL);
	else
		json_put_int(o, key, n);
}

static struct json *
answer(const struct cgroup_usage *u, const char *tap, const char *source)
{
	struct json *o = json_object();

	put(o, "cpu_us", u->cpu_us);
	put(o, "memory_bytes", u->memory);
	put(o, "memory_peak_bytes", u->memory_peak);
	put(o, "memory_limit_bytes", u->memory_limit);
	put(o, "processes", u->pids);
	put(o, "disk_read_bytes", u->read_bytes);
	put(o, "disk_written_bytes", u->written_bytes);
	/* What the guest receives the host sent. */
	put(o, "net_received_bytes", *tap ? counter(tap, "tx_bytes") : -1);
	put(o, "net_sent_bytes", *tap ? counter(tap, "rx_bytes") : -1);
	json_put_str(o, "source", source);
	return o;
}

int
vm_metrics(struct state *st, const struct json *row, struct json **ret,
	struct err *err)
{
	const char *name = json_str(row, "name", "");
	char tap[TAP_SIZE];
	CLEANUP_FREE char *id = vm_cgroup_id(st, name);
	pid_t pid = proc_find(json_str(row, "hypervisor", ""));
	struct cgroup_usage u;
	struct cgroup_host h;

	tap_of(row, tap);
	if (!pid)
		return err_set(err, ERR_NOTFOUND,
			"VM '%s' does not run; 'forge-vm list' shows those "
			"there are", name);
	cgroup_host_find(&h);
	if (!cgroup_usage(&h, id, &u)) {
		*ret = answer(&u, tap, "cgroup");
		return 0;
	}
	of_process(pid, &u);
	*ret = answer(&u, tap, "process");
	return 0;
}
