#include "lib/vm/net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
tap_open(const char *name, int *ret_fd, struct err *err)
{
	CLEANUP_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (fd < 0)
		return err_sys(err, "cannot open '/dev/net/tun' for a tap");
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r)) {
		if (errno == EPERM)
			return err_set(err, ERR_USAGE,
				"--net tap is root's; --net user needs no "
				"rights");
		return err_sys(err, "cannot open tap '%s'", name);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}
