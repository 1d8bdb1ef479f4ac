#include "cmd/forge-init/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * A module costs 10 to 30 ms without hardware virtualisation, so those that
 * cannot be of use here are left out: drivers of virtio devices that there
 * are not (numbers: Virtual I/O Device specification, section 5), and file
 * systems, which are loaded when they are mounted.
 */
static const struct {
	const char *prefix;
	int device; /* 0: on demand */
} gated[] = {
	{ "failover", 1 },
	{ "net_failover", 1 },
	{ "virtio_net", 1 },
	{ "virtio_blk", 2 },
	{ "virtio_console", 3 },
	{ "virtio_rng", 4 },
	{ "virtio-rng", 4 },
	{ "vsock", 19 },
	{ "vmw_vsock_", 19 },
	{ "erofs", 0 },
	{ "squashfs", 0 },
	{ "ext4", 0 },
	{ "overlay", 0 },
};

static int
gate(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(gated) / sizeof(*gated); i++)
		if (!strncmp(name, gated[i].prefix, strlen(gated[i].prefix)))
			return (int)i;
	return -1;
}

static bool
device_is(const char *name, int id)
{
	char path[320], text[16] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/device",
		name);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	(void)fclose(f);
	return strtol(text, NULL, 16) == id;
}

/* Is there a virtio device of this kind; with 0, any device of the bus? */
static bool
on_bus(const char *bus, int id)
{
	DIR *d = opendir(bus);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d)))
		found = e->d_name[0] != '.' && (!id || device_is(e->d_name, id));
	if (d)
		(void)closedir(d);
	return found;
}

static bool
useful(const char *name, bool drivers)
{
	int i = gate(name);

	if (i >= 0)
		return drivers && gated[i].device &&
			on_bus("/sys/bus/virtio/devices", gated[i].device);
	if (drivers)
		return false;
	return strncmp(name, "virtio_pci", 10) != 0 ||
		on_bus("/sys/bus/pci/devices", 0);
}

static void
load(const char *name)
{
	char path[320];
	int fd;

	(void)snprintf(path, sizeof(path), "/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) &&
			      errno != EEXIST && errno != ENODEV))
		fprintf(stderr, "forge-init: module %s: %s\n", name,
			strerror(errno));
	if (fd >= 0)
		(void)close(fd);
}

static void
load_all(bool drivers)
{
	char line[256];
	FILE *f = fopen("/modules/order", "re");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && !strchr(line, '/') && useful(line, drivers))
			load(line);
	}
	if (f)
		(void)fclose(f);
}

void
modules_load(void)
{
	load_all(false); /* the buses first: they tell which devices are there */
	load_all(true);
}

void
module_load_fs(const char *fs)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%.20s.ko", fs);
	/* Without a file it is built in, or mount says that it is not. */
	if (!strchr(name, '/') && !chdir("/modules")) {
		if (!access(name, F_OK))
			load(name);
		(void)!chdir("/");
	}
}
