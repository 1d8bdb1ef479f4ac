#include "drivers/process/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <linux/route.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define NAME "eth0"

static struct ifreq
request(const char *name)
{
	struct ifreq r = { 0 };

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return r;
}

static int
set_up(int fd, const char *name)
{
	struct ifreq r = request(name);

	if (ioctl(fd, SIOCGIFFLAGS, &r))
		return -1;
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP | IFF_RUNNING);
	return ioctl(fd, SIOCSIFFLAGS, &r);
}

static int
set_mac(int fd, const char *text)
{
	struct ifreq r = request(NAME);
	char *end;
	int i;

	r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	for (i = 0; i < 6; i++) {
		r.ifr_hwaddr.sa_data[i] = (char)strtoul(text, &end, 16);
		if (end != text + 2 || *end != (i < 5 ? ':' : '\0')) {
			errno = EINVAL;
			return -1;
		}
		text = end + 1;
	}
	return ioctl(fd, SIOCSIFHWADDR, &r);
}

static struct sockaddr
address(in_addr_t a)
{
	const struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = a };
	struct sockaddr ret;

	memcpy(&ret, &in, sizeof(ret));
	return ret;
}

static int
set_addresses(int fd, const struct json *net)
{
	int prefix = (int)json_int(net, "prefix", 32);
	struct ifreq r = request(NAME);
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	if (prefix < 1 || prefix > 32) {
		errno = EINVAL;
		return -1;
	}
	r.ifr_addr = address(inet_addr(json_str(net, "address", "")));
	if (ioctl(fd, SIOCSIFADDR, &r))
		return -1;
	r.ifr_addr = address(htonl(~0u << (32 - prefix)));
	if (ioctl(fd, SIOCSIFNETMASK, &r) || set_up(fd, NAME))
		return -1;
	route.rt_dst = route.rt_genmask = address(0);
	route.rt_gateway = address(inet_addr(json_str(net, "gateway", "")));
	return ioctl(fd, SIOCADDRT, &route);
}

static int
open_tap(struct err *err)
{
	struct ifreq r = request(NAME);
	CLEANUP_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "--net user needs '/dev/net/tun' "
				    "(modprobe tun)");
	r.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &r))
		return err_sys(err, "cannot make a tap");
	return steal_fd(&fd);
}

int
net_enter(const struct json *net, int frames, struct err *err)
{
	CLEANUP_CLOSE int tap = -1, fd = -1;

	if (unshare(CLONE_NEWNET))
		return err_sys(err, "cannot make a network namespace");
	tap = open_tap(err);
	if (tap < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || set_up(fd, "lo") ||
		set_mac(fd, json_str(net, "mac", "")) ||
		set_addresses(fd, net))
		return err_sys(err, "cannot set up the network");
	return relay_start(tap, frames, err);
}
