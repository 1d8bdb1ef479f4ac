#include "cmd/forge-init/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PORT_WAIT 10000 /* ms */

static struct config config;

/* ---- small things ---- */

int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * The kernel's word that a device came or changed: a node appears in /dev, and
 * a port gets its name in /sys a little later, which inotify would not see.
 * <linux/netlink.h>, which musl-gcc has not.
 */
static int
open_uevents(void)
{
	struct {
		unsigned short family, pad;
		uint32_t pid, groups;
	} address = { .family = AF_NETLINK, .groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		15 /* NETLINK_KOBJECT_UEVENT */);

	if (fd >= 0)
		(void)bind(fd, (void *)&address, sizeof(address));
	return fd;
}

/* Look again at each event, and now and then, until ms have passed. */
static int
wait_for(bool (*there)(const void *arg), const void *arg, int ms)
{
	struct pollfd p = { .fd = -1, .events = POLLIN };
	int64_t end = now_ms() + ms, left;
	char event[4096];
	bool found = there(arg);

	if (!found)
		p.fd = open_uevents();
	while (!(found = there(arg)) && (left = end - now_ms()) > 0) {
		(void)poll(&p, 1, left < 100 ? (int)left : 100);
		while (p.fd >= 0 && recv(p.fd, event, sizeof(event), 0) > 0)
			;
	}
	if (p.fd >= 0)
		(void)close(p.fd);
	errno = ENODEV;
	return found ? 0 : -1;
}

static bool
exists(const void *path)
{
	return !access(path, F_OK);
}

int
wait_path(const char *path, int ms)
{
	return wait_for(exists, path, ms);
}

/* Never leave 0, 1 and 2 free for a pipe. */
void
open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	if (fd >= 0)
		(void)close(fd);
}

/* Say what is wrong, to the host if the channel is open, and halt. */
_Noreturn static void
fault(struct agent *a, const char *what, const char *which)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s%s%s: %s", what, *which ? " " : "",
		which, strerror(errno));
	fprintf(stderr, "forge-init: %s\n", text);
	if (a->fd >= 0)
		(void)agent_send_text(a, CHANNEL_FAULT, text);
	if (a->place)
		halt_place(0);
	halt_system(config.restart, 0);
}

/* ---- before the channel ---- */

static void
mount_early(void)
{
	(void)mkdir("/proc", 0755);
	(void)mkdir("/sys", 0755);
	(void)mkdir("/dev", 0755);
	(void)mount("proc", "/proc", "proc",
		MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	(void)mount("sysfs", "/sys", "sysfs",
		MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	(void)mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
}

/* As distributions do: the kernel's own 4096 is too few for some builds. */
static void
raise_limits(void)
{
	struct rlimit r = { .rlim_cur = 1024, .rlim_max = 524288 };

	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static char port[64];

static bool
port_named(const char *device)
{
	char path[PATH_MAX], name[64] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
		device);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(name, sizeof(name), f))
			name[0] = '\0';
		(void)fclose(f);
	}
	name[strcspn(name, "\n")] = '\0';
	return !strcmp(name, CHANNEL_PORT);
}

static bool
port_there(const void *unused)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	struct dirent *e;
	bool found = false;

	(void)unused;
	while (d && !found && (e = readdir(d)))
		if (e->d_name[0] != '.' && port_named(e->d_name)) {
			(void)snprintf(port, sizeof(port), "/dev/%.50s",
				e->d_name);
			found = !access(port, F_OK);
		}
	if (d)
		(void)closedir(d);
	return found;
}

static bool
vsock_there(const void *arg)
{
	struct agent *a = *(struct agent *const *)arg;

	if (a->fd < 0)
		a->fd = vsock_open();
	return a->fd >= 0;
}

/* The kernel gives words of its command line with a = as environment. */
static bool
told(const char *word, const char *value)
{
	const char *s = getenv(word);

	return s && !strcmp(s, value);
}

static void
open_vsock(struct agent *a)
{
	a->vsock = true;
	if (!wait_for(vsock_there, &a, PORT_WAIT))
		return;
	a->fd = a->out = vsock_open(); /* once more, for its errno */
	if (a->fd < 0)
		fault(a, "cannot reach the host by vsock", "");
}

static void
open_port(struct agent *a)
{
	if (told(CHANNEL_WORD, "vsock")) {
		open_vsock(a);
		return;
	}
	if (wait_for(port_there, NULL, PORT_WAIT))
		fault(a, "no port named", CHANNEL_PORT);
	a->fd = a->out = open(port, O_RDWR | O_CLOEXEC);
	if (a->fd < 0)
		fault(a, "cannot open", port);
}

long long init_began_us;

long long
uptime_us(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int
agent_hello(struct agent *a)
{
	char text[192], id[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	int n;

	if (f) {
		if (!fgets(id, sizeof(id), f))
			id[0] = '\0';
		(void)fclose(f);
	}
	id[strcspn(id, "\n")] = '\0';
	n = snprintf(text, sizeof(text),
		"version=%d%cboot_id=%s%cinit_us=%lld%chello_us=%lld",
		CHANNEL_VERSION, 0, id, 0, init_began_us, 0, uptime_us());
	return agent_send(a, CHANNEL_HELLO, 0, text, (size_t)n + 1);
}

static void
receive_config(struct agent *a, struct config *c)
{
	struct frame f;

	do
		if (agent_receive(a, &f))
			fault(a, "the host went away", "");
	while (f.type != CHANNEL_CONFIG);
	config_parse(c, f.payload, f.length);
}

void
agent_greet(struct agent *a, struct config *c)
{
	if (agent_hello(a))
		fault(a, "the host does not listen", "");
	receive_config(a, c);
}

_Noreturn void
boot(void)
{
	static struct agent a; /* 64 KiB: not in the file */
	const char *what = "";

	a.fd = -1;
	a.pid1 = true;
	(void)umask(022);
	mount_early();
	open_standard();
	raise_limits();
	modules_load();
	frame_reader_init(&a.reader);
	config.restart = told(CHANNEL_HALT_WORD, "reboot");
	open_port(&a);
	agent_greet(&a, &config);
	a.restart = config.restart;
	if (config.root[0] && root_enter(&config, &what))
		fault(&a, what, config.root);
	mount_late();
	config_names(&config);
	if (net_up(&config, &what))
		fault(&a, what, config.address);
	if (agent_send(&a, CHANNEL_READY, 0, NULL, 0))
		fault(&a, "the host does not listen", "");
	agent_loop(&a);
	/* Not reached: SHUTDOWN halts, and a port has no end. */
	halt_system(config.restart, 0);
}
