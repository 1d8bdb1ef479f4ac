#include "cmd/forge-init/init.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* The gateway of an address without a network is beyond no other. */
static int
set_neighbour(int fd, char *name, in_addr_t gateway)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = gateway } };
	struct rtentry r = { .rt_flags = RTF_UP | RTF_HOST, .rt_dev = name };

	memcpy(&r.rt_dst, &in, sizeof(in));
	return ioctl(fd, SIOCADDRT, &r);
}

static int
set_gateway(int fd, char *name, int prefix, in_addr_t gateway)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct rtentry r = { .rt_flags = RTF_UP | RTF_GATEWAY };

	if (prefix == 32 && set_neighbour(fd, name, gateway))
		return -1;
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

/* <linux/ipv6.h>, which musl-gcc has not. */
struct address6 {
	struct in6_addr address;
	uint32_t prefix;
	int index;
};

/* There is nobody on the link who could have it: usable at once. */
static void
trust_address(const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path),
		"/proc/sys/net/ipv6/conf/%s/accept_dad", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "0", 1);
		(void)close(fd);
	}
}

static int
configure6(const struct config *c, const char *name)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
	struct address6 a = { .prefix = 128,
		.index = (int)if_nametoindex(name) };
	struct in6_rtmsg r = { .rtmsg_flags = RTF_UP | RTF_GATEWAY,
		.rtmsg_ifindex = a.index, .rtmsg_metric = 1 };

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -1; /* without IPv6 */
	trust_address(name);
	errno = EINVAL;
	rc = inet_pton(AF_INET6, c->address6, &a.address) != 1 ||
		ioctl(fd, SIOCSIFADDR, &a) ||
		(c->gateway6[0] &&
			(inet_pton(AF_INET6, c->gateway6, &r.rtmsg_gateway) !=
					1 ||
				ioctl(fd, SIOCADDRT, &r)));
	(void)close(fd);
	return rc ? -1 : 0;
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
	if (c->gateway[0] && set_gateway(fd, name, c->prefix,
				     inet_addr(c->gateway)))
		return -1;
	*ret_what = "the IPv6 address is refused";
	return c->address6[0] ? configure6(c, name) : 0;
}

int
net_mac(const char *mac, const char **ret_what)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
	struct ifreq r = { 0 };
	unsigned b[6];
	int i;

	*ret_what = "the hardware address is refused";
	if (fd < 0)
		return -1;
	errno = EINVAL;
	rc = !find_interface(r.ifr_name, sizeof(r.ifr_name)) ||
		ioctl(fd, SIOCGIFFLAGS, &r);
	r.ifr_flags &= ~IFF_UP; /* and with that its routes go */
	rc = rc || ioctl(fd, SIOCSIFFLAGS, &r) ||
		sscanf(mac, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4,
			b + 5) != 6;
	(void)memset(&r.ifr_hwaddr, 0, sizeof(r.ifr_hwaddr));
	r.ifr_hwaddr.sa_family = 1; /* ARPHRD_ETHER */
	for (i = 0; i < 6; i++)
		r.ifr_hwaddr.sa_data[i] = (char)b[i];
	rc = rc || ioctl(fd, SIOCSIFHWADDR, &r);
	(void)close(fd);
	return rc ? -1 : 0;
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
