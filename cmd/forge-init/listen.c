#include "cmd/forge-init/init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

int
listen_start(struct agent *a, struct exec *x)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(x->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(to);
	unsigned char port[4];
	const int on = 1;

	if (through)
		return EOPNOTSUPP; /* the port would be this host's */
	x->in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (x->in < 0)
		return errno;
	(void)setsockopt(x->in, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(x->in, (void *)&to, sizeof(to)) || listen(x->in, BACKLOG) ||
		getsockname(x->in, (void *)&to, &n))
		return errno;
	x->listening = true;
	x->port = ntohs(to.sin_port);
	frame_put32(port, x->port);
	(void)agent_send(a, CHANNEL_STARTED, x->stream, port, sizeof(port));
	return 0;
}

void
listen_accept(struct agent *a, const struct exec *listener, struct exec *x)
{
	unsigned char pid[4] = { 0 };
	const int on = 1;
	int fd;

	if (!x)
		return; /* another took it in this round */
	fd = accept4(listener->in, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return; /* it is gone already */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	x->accepting = false;
	if (connect_take(x, fd)) {
		agent_send_exit(a, x->stream, CHANNEL_EXEC_FAILED, ENOMEM);
		exec_close(x);
		return;
	}
	(void)agent_send(a, CHANNEL_STARTED, x->stream, pid, sizeof(pid));
}
