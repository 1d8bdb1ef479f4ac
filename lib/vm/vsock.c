#include "lib/vm/vsock.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/vm/channel.h"
#include "lib/base/banned.h"

#define FILE_NAME VSOCK_FILE CHANNEL_VSOCK_SUFFIX

int
vsock_listen(int dirfd, int *ret_fd, struct err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int fd = socket(AF_UNIX,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	/* By the fd: the state's path may be too long for an address. */
	(void)snprintf(un.sun_path, sizeof(un.sun_path),
		"/proc/self/fd/%d/" FILE_NAME, dirfd);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) || listen(fd, 1))
		return err_sys(err, "cannot listen on '" FILE_NAME "'");
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
vsock_accept(int *fd, int dirfd)
{
	int connection = accept4(*fd, NULL, NULL, SOCK_CLOEXEC);

	if (connection < 0)
		return 1;
	(void)close(*fd); /* nothing was written */
	(void)unlinkat(dirfd, FILE_NAME, 0); /* it goes with the directory */
	*fd = connection;
	return 0;
}
