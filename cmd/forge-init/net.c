#include "cmd/forge-init/init.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int
set_flags(int fd, const char *name)
{
	struct ifreq r = { 0 };

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &r))
		return -1;
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &r);
}

static int
set_address(int fd, const char *name, unsigned long request, in_addr_t addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = addr } };
	struct ifreq r = { 0 };

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	memcpy(&r.ifr_addr, &in, sizeof(in));
	return ioctl(fd, (int)request, &r);
}

static int
set_gateway(int fd, in_addr_t gateway)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct rtentry r = { .rt_flags = RTF_UP | RTF_GATEWAY };

	memcpy(&r.rt_dst, &in, sizeof(in));
	memcpy(&r.rt_genmask, &in, sizeof(in));
	in.sin_addr.s_addr = gateway;
	memcpy(&r.rt_gateway, &in, sizeof(in));
	return ioctl(fd, SIOCADDRT, &r);
}

/* eth0, or the first interface that is not lo. */
static bool
find_interface(char *name, size_t size)
{
	bool found = !access("/sys/class/net/eth0", F_OK);
	DIR *d = found ? NULL : opendir("/sys/class/net");
	struct dirent *e;

	(void)snprintf(name, size, "eth0");
	while (d && !found && (e = readdir(d)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "lo") != 0 &&
			strlen(e->d_name) < size) {
			memcpy(name, e->d_name, strlen(e->d_name) + 1);
			found = true;
		}
	if (d)
		(void)closedir(d);
	return found;
}

static int
configure(int fd, const struct config *c, const char **ret_what)
{
	char name[IFNAMSIZ];
	uint32_t mask = c->prefix ? ~0u << (32 - c->prefix) : 0;

	*ret_what = "no network interface for";
	if (!find_interface(name, sizeof(name))) {
		errno = ENODEV;
		return -1;
	}
	*ret_what = "the address is refused";
	if (set_address(fd, name, SIOCSIFADDR, inet_addr(c->address)) ||
		set_address(fd, name, SIOCSIFNETMASK, htonl(mask)) ||
		set_flags(fd, name))
		return -1;
	*ret_what = "the gateway is refused";
	return c->gateway[0] ? set_gateway(fd, inet_addr(c->gateway)) : 0;
}

int
net_up(const struct config *c, const char **ret_what)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	*ret_what = "no sockets";
	if (fd < 0)
		return -1;
	(void)set_flags(fd, "lo");
	if (c->address[0])
		rc = configure(fd, c, ret_what);
	(void)close(fd);
	return rc;
}
