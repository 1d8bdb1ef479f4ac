#include "cmd/forge-init/init.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PORT_WAIT 10000 /* ms */

/* <linux/random.h>, which musl-gcc has not: _IOW('R', 0x03, int[2]) */
#define RND_ADD_ENTROPY 0x40085203ul

static struct config config;

/* ---- small things ---- */

int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n = -1;

	if (fd >= 0) {
		n = write(fd, text, strlen(text));
		(void)close(fd);
	}
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

/* Try again whenever something appears in /dev, until ms have passed. */
static int
wait_for(bool (*there)(const void *arg), const void *arg, int ms)
{
	struct pollfd p = { .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.events = POLLIN };
	long end = now_ms() + ms, left;
	char events[4096];

	if (p.fd >= 0)
		(void)inotify_add_watch(p.fd, "/dev", IN_CREATE | IN_ATTRIB);
	while (!there(arg) && (left = end - now_ms()) > 0) {
		/* devtmpfs makes the node, sysfs its name a little later */
		(void)poll(&p, 1, left < 100 ? (int)left : 100);
		while (read(p.fd, events, sizeof(events)) > 0)
			;
	}
	if (p.fd >= 0)
		(void)close(p.fd);
	return there(arg) ? 0 : -1;
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

void
set_clock(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u) };

	(void)clock_settime(CLOCK_REALTIME, &ts);
}

void
add_entropy(const unsigned char *p, size_t n)
{
	struct {
		int bits, bytes;
		unsigned char data[512];
	} pool = { .bits = (int)n * 8, .bytes = (int)n };
	int fd = open("/dev/random", O_RDWR | O_CLOEXEC);

	if (fd < 0 || n > sizeof(pool.data))
		return;
	memcpy(pool.data, p, n);
	(void)ioctl(fd, (int)RND_ADD_ENTROPY, &pool);
	(void)close(fd);
}

_Noreturn void
fault(struct agent *a, const char *what, const char *which)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s%s%s: %s", what, *which ? " " : "",
		which, strerror(errno));
	fprintf(stderr, "forge-init: %s\n", text);
	if (a->fd >= 0)
		(void)agent_send_text(a, CHANNEL_FAULT, text);
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

static void
load_module(const char *name)
{
	char path[PATH_MAX];
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

/* In the order of the file: dependencies come first. */
static void
load_modules(void)
{
	char line[256];
	FILE *f = fopen("/modules/order", "re");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			load_module(line);
	}
	if (f)
		(void)fclose(f);
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

static void
open_port(struct agent *a)
{
	a->fd = -1;
	if (wait_for(port_there, NULL, PORT_WAIT))
		fault(a, "no port named", CHANNEL_PORT);
	a->fd = open(port, O_RDWR | O_CLOEXEC);
	if (a->fd < 0)
		fault(a, "cannot open", port);
}

static void
hello(struct agent *a)
{
	char text[128], id[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	int n;

	if (f) {
		if (!fgets(id, sizeof(id), f))
			id[0] = '\0';
		(void)fclose(f);
	}
	id[strcspn(id, "\n")] = '\0';
	n = snprintf(text, sizeof(text), "version=%d%cboot_id=%s",
		CHANNEL_VERSION, 0, id);
	if (agent_send(a, CHANNEL_HELLO, 0, text, (size_t)n + 1))
		fault(a, "the host does not listen", "");
}

/* ---- the configuration ---- */

static void
copy(char *to, size_t size, const char *value)
{
	(void)snprintf(to, size, "%s", value);
}

static void
set_entropy(const char *hex)
{
	unsigned char bytes[512];
	size_t n = 0;
	unsigned v;

	while (n < sizeof(bytes) && sscanf(hex, "%2x", &v) == 1 && hex[1]) {
		bytes[n++] = (unsigned char)v;
		hex += 2;
	}
	add_entropy(bytes, n);
}

static void
set_address(const char *value)
{
	const char *slash = strchr(value, '/');
	int n = slash ? (int)(slash - value) : 0;

	(void)snprintf(config.address, sizeof(config.address), "%.*s", n,
		value);
	config.prefix = slash ? (int)strtol(slash + 1, NULL, 10) : 0;
	if (config.prefix < 0 || config.prefix > 32)
		config.prefix = 32;
}

static void
set_one(const char *s)
{
	const char *v = strchr(s, '=');
	size_t n;

	if (!v)
		return;
	n = (size_t)(v++ - s);
#define IS(key) (n == sizeof(key) - 1 && !memcmp(s, key, n))
	if (IS("hostname"))
		copy(config.hostname, sizeof(config.hostname), v);
	else if (IS("address"))
		set_address(v);
	else if (IS("gateway"))
		copy(config.gateway, sizeof(config.gateway), v);
	else if (IS("dns"))
		copy(config.dns, sizeof(config.dns), v);
	else if (IS("root"))
		copy(config.root, sizeof(config.root), v);
	else if (IS("rootfs"))
		copy(config.rootfs, sizeof(config.rootfs), v);
	else if (IS("overlay"))
		copy(config.overlay, sizeof(config.overlay), v);
	else if (IS("clock"))
		set_clock(strtoull(v, NULL, 10));
	else if (IS("entropy"))
		set_entropy(v);
	else if (IS("halt"))
		config.restart = !strcmp(v, "reboot");
#undef IS
}

static void
receive_config(struct agent *a)
{
	struct frame f;
	const char *s;
	size_t pos = 0;

	do
		if (agent_receive(a, &f))
			fault(a, "the host went away", "");
	while (f.type != CHANNEL_CONFIG);
	while ((s = frame_string(f.payload, f.length, &pos)))
		set_one(s);
}

static void
write_names(void)
{
	char text[256];

	if (!config.hostname[0])
		copy(config.hostname, sizeof(config.hostname), "forge");
	(void)sethostname(config.hostname, strlen(config.hostname));
	(void)mkdir("/etc", 0755);
	(void)snprintf(text, sizeof(text), "127.0.0.1 localhost\n%s %s\n",
		config.address[0] ? config.address : "127.0.1.1",
		config.hostname);
	(void)write_file("/etc/hosts", text);
	(void)snprintf(text, sizeof(text), "%s\n", config.hostname);
	(void)write_file("/etc/hostname", text);
	if (config.dns[0]) {
		(void)snprintf(text, sizeof(text), "nameserver %s\n",
			config.dns);
		/* It may be a link to where a daemon would write it. */
		(void)unlink("/etc/resolv.conf");
		(void)write_file("/etc/resolv.conf", text);
	}
}

_Noreturn void
boot(void)
{
	static struct agent a = { .fd = -1, .pid1 = true };
	const char *what = "";

	(void)umask(022);
	mount_early();
	load_modules();
	frame_reader_init(&a.reader);
	open_port(&a);
	hello(&a);
	receive_config(&a);
	a.restart = config.restart;
	if (config.root[0] && root_enter(&config, &what))
		fault(&a, what, config.root);
	mount_late();
	write_names();
	if (net_up(&config, &what))
		fault(&a, what, config.address);
	if (agent_send(&a, CHANNEL_READY, 0, NULL, 0))
		fault(&a, "the host does not listen", "");
	for (;;)
		(void)agent_loop(&a);
}
