#include "cmd/forge-init/init.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* <linux/random.h>, which musl-gcc has not: _IOW('R', 0x03, int[2]) */
#define RND_ADD_ENTROPY 0x40085203
#define RND_RESEED_CRNG 0x5207 /* _IO('R', 0x07) */

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
	int fd;

	if (!n || n > sizeof(pool.data))
		return;
	memcpy(pool.data, p, n);
	fd = open("/dev/random", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		(void)ioctl(fd, RND_ADD_ENTROPY, &pool);
		/* At once, or the next bytes are those of all copies. */
		(void)ioctl(fd, RND_RESEED_CRNG);
		(void)close(fd);
	}
}

static void
copy(char *to, size_t size, const char *value)
{
	(void)snprintf(to, size, "%s", value);
}

static void
set_entropy(const char *hex)
{
	unsigned char bytes[512] = { 0 };
	size_t n = 0;
	unsigned v;

	while (n < sizeof(bytes) && sscanf(hex, "%2x", &v) == 1 && hex[1]) {
		bytes[n++] = (unsigned char)v;
		hex += 2;
	}
	add_entropy(bytes, n);
}

static void
set_address(struct config *c, const char *value)
{
	const char *slash = strchr(value, '/');
	int n = slash ? (int)(slash - value) : (int)strlen(value);

	(void)snprintf(c->address, sizeof(c->address), "%.*s", n,
		value);
	c->prefix = slash ? (int)strtol(slash + 1, NULL, 10) : 32;
	if (c->prefix < 0 || c->prefix > 32)
		c->prefix = 32;
}

static void
set_one(struct config *c, const char *s)
{
	const char *v = strchr(s, '=');
	size_t n;

	if (!v)
		return;
	n = (size_t)(v++ - s);
#define IS(key) (n == sizeof(key) - 1 && !memcmp(s, key, n))
	if (IS("hostname"))
		copy(c->hostname, sizeof(c->hostname), v);
	else if (IS("address"))
		set_address(c, v);
	else if (IS("gateway"))
		copy(c->gateway, sizeof(c->gateway), v);
	else if (IS("address6"))
		copy(c->address6, sizeof(c->address6), v);
	else if (IS("gateway6"))
		copy(c->gateway6, sizeof(c->gateway6), v);
	else if (IS("dns"))
		copy(c->dns, sizeof(c->dns), v);
	else if (IS("root"))
		copy(c->root, sizeof(c->root), v);
	else if (IS("rootfs"))
		copy(c->rootfs, sizeof(c->rootfs), v);
	else if (IS("overlay"))
		copy(c->overlay, sizeof(c->overlay), v);
	else if (IS("machine_id"))
		copy(c->machine_id, sizeof(c->machine_id), v);
	else if (IS("mac"))
		copy(c->mac, sizeof(c->mac), v);
	else if (IS("clock"))
		set_clock(strtoull(v, NULL, 10));
	else if (IS("entropy"))
		set_entropy(v);
	else if (IS("halt"))
		c->restart = !strcmp(v, "reboot");
#undef IS
}

void
config_parse(struct config *c, const void *payload, size_t n)
{
	const char *s;
	size_t pos = 0;

	while ((s = frame_string(payload, n, &pos)))
		set_one(c, s);
	if (!c->hostname[0])
		copy(c->hostname, sizeof(c->hostname), "forge");
}

/*
 * A root that cannot be written keeps what it has.  What is as long as what
 * was there is not cut: that is a good part of what a restored guest runs
 * before it is ready, all of it for the first time.
 */
static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	size_t n = strlen(text);

	if (fd < 0)
		return;
	(void)!write(fd, text, n);
	if (lseek(fd, 0, SEEK_END) != (off_t)n)
		(void)!ftruncate(fd, (off_t)n);
	(void)close(fd);
}

void
config_names(const struct config *c)
{
	char text[256];

	(void)!sethostname(c->hostname, strlen(c->hostname));
	(void)mkdir("/etc", 0755);
	(void)snprintf(text, sizeof(text), "127.0.0.1 localhost\n%s %s\n",
		c->address[0] ? c->address : "127.0.1.1",
		c->hostname);
	write_file("/etc/hosts", text);
	(void)snprintf(text, sizeof(text), "%s\n", c->hostname);
	write_file("/etc/hostname", text);
	if (c->machine_id[0]) {
		(void)snprintf(text, sizeof(text), "%s\n", c->machine_id);
		write_file("/etc/machine-id", text);
	}
	if (c->dns[0]) {
		(void)snprintf(text, sizeof(text), "nameserver %s\n",
			c->dns);
		/* It may be a link to where a daemon would write it. */
		(void)unlink("/etc/resolv.conf");
		write_file("/etc/resolv.conf", text);
	}
}

int
identity_change(const void *payload, size_t n, const char **ret_what)
{
	static struct config c;

	c = (struct config){ 0 };
	config_parse(&c, payload, n);
	config_names(&c);
	/* lo is up since its boot. */
	return c.mac[0] && (net_mac(c.mac, ret_what) || net_up(&c, ret_what)) ?
		-1 :
		0;
}
