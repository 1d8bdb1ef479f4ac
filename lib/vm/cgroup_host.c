#include "lib/vm/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define PROC_MAX (1u << 20)

/* By name, in version 1 and in version 2. */
static const struct {
	const char *name;
	enum cgroup_controller is;
} names[] = {
	{ "memory", CGROUP_MEMORY },
	{ "cpu", CGROUP_CPU },
	{ "cpuacct", CGROUP_CPUACCT },
	{ "pids", CGROUP_PIDS },
	{ "blkio", CGROUP_IO },
	{ "io", CGROUP_IO },
	{ "freezer", CGROUP_FREEZER },
};

/* Of words between any of the separators. */
static unsigned
controllers_of(const char *list, const char *separators)
{
	unsigned bits = 0;
	size_t n, i;

	for (; *list; list += n + (list[n] != '\0')) {
		n = strcspn(list, separators);
		for (i = 0; i < ARRAY_SIZE(names); i++)
			if (strlen(names[i].name) == n &&
				!strncmp(names[i].name, list, n))
				bits |= 1u << names[i].is;
	}
	return bits;
}

/* The n-th word of a line, from 0, of at most size - 1 bytes; false. */
static bool
word(const char *line, size_t n, char *ret, size_t size)
{
	size_t len;

	for (;; n--) {
		len = strcspn(line, " \n");
		if (!n)
			break;
		if (line[len] != ' ')
			return false;
		line += len + 1;
	}
	if (!len || len >= size)
		return false;
	memcpy(ret, line, len);
	ret[len] = '\0';
	return true;
}

static void
add(struct cgroup_host *h, const char *path, unsigned controllers, bool v2)
{
	struct cgroup_root *r = &h->roots[h->n];

	if (h->n == PROC_CGROUPS || strlen(path) >= sizeof(r->path))
		return;
	(void)snprintf(r->path, sizeof(r->path), "%s", path);
	r->controllers = controllers;
	r->v2 = v2;
	h->n++;
}

static unsigned
offered(const char *path)
{
	CLEANUP_FREE char *file = xasprintf("%s/cgroup.controllers", path);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	if (fs_read(AT_FDCWD, file, 4096, &b, &err))
		return 0;
	return controllers_of(b.s, " \n");
}

/*
 * Of somebody who is not root: beside the own cgroup, which has processes and
 * so can have no children with limits.
 */
static bool
beside(const char *mount, const char *own, char *ret, size_t size)
{
	const char *line = strstr(own, "0::/");
	size_t n = line ? strcspn(line + 3, "\n") : 0;
	CLEANUP_FREE char *procs = NULL;
	int k;

	while (n > 1 && line[3 + n - 1] != '/')
		n--;
	if (n < 2)
		return false;
	k = snprintf(ret, size, "%s%.*s", mount, (int)n - 1, line + 3);
	procs = xasprintf("%s/cgroup.procs", ret);
	return k > 0 && (size_t)k < size && !access(procs, W_OK) &&
		!access(ret, W_OK);
}

static void
mount_line(struct cgroup_host *h, const char *line, const char *own,
	bool root)
{
	const char *dash = strstr(line, " - ");
	const char *end = strchr(line, '\n');
	char path[256], below[512], type[16], options[256];
	unsigned bits;

	if (!dash || (end && dash > end) ||
		!word(line, 4, path, sizeof(path)) ||
		!word(dash + 3, 0, type, sizeof(type)))
		return;
	if (!strcmp(type, "cgroup2")) {
		if (root ? access(path, W_OK) :
			   !beside(path, own, below, sizeof(below)))
			return;
		add(h, root ? path : below, offered(root ? path : below),
			true);
	} else if (!strcmp(type, "cgroup") && root &&
		word(dash + 3, 2, options, sizeof(options))) {
		bits = controllers_of(options, ",");
		if (bits && !access(path, W_OK))
			add(h, path, bits, false);
	}
}

static void
conclude(struct cgroup_host *h, bool root)
{
	bool v1 = false, v2 = false;
	int i;

	for (i = 0; i < h->n; i++) {
		h->controllers |= h->roots[i].controllers;
		v1 = v1 || !h->roots[i].v2;
		v2 = v2 || h->roots[i].v2;
	}
	h->version = v1 && v2 ? "hybrid" : v2 ? "version 2" : "version 1";
	if (h->n)
		return;
	h->version = "none";
	(void)snprintf(h->why, sizeof(h->why), "%s",
		root ? "no cgroup file system can be written to" :
		       "no cgroup is delegated to this user");
}

void
cgroup_host_parse(const char *mountinfo, const char *own, bool root,
	struct cgroup_host *ret)
{
	const char *line = mountinfo;

	*ret = (struct cgroup_host){ .n = 0 };
	while (*line) {
		mount_line(ret, line, own, root);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	conclude(ret, root);
}

void
cgroup_host_find(struct cgroup_host *ret)
{
	CLEANUP_BUF struct buf mounts = BUF_INIT, own = BUF_INIT;
	struct err err = ERR_INIT;

	/* Unreadable is as empty: then there are none. */
	if (fs_read(AT_FDCWD, "/proc/self/mountinfo", PROC_MAX, &mounts,
		    &err) ||
		fs_read(AT_FDCWD, "/proc/self/cgroup", PROC_MAX, &own, &err))
		buf_reset(&mounts);
	cgroup_host_parse(mounts.s, own.s, !geteuid(), ret);
}
