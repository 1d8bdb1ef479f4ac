#include "cmd/forge-init/init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
begin(struct exec *x)
{
	struct sockaddr_in four = { .sin_family = AF_INET,
		.sin_port = htons(x->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
		.sin6_port = htons(x->port), .sin6_addr = in6addr_loopback };
	const int on = 1;
	int fd = socket(x->second ? AF_INET6 : AF_INET,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if ((x->second ? connect(fd, (void *)&six, sizeof(six)) :
			 connect(fd, (void *)&four, sizeof(four))) &&
		errno != EINPROGRESS) {
		int e = errno;

		(void)close(fd);
		return e;
	}
	x->in = x->out[0].fd = fd;
	return 0;
}

/* A program that listens on ::1 alone is found too. */
static int
begin_second(struct exec *x, int e)
{
	if (x->second || e != ECONNREFUSED)
		return e;
	if (x->out[0].fd >= 0)
		(void)close(x->out[0].fd);
	x->in = x->out[0].fd = -1;
	x->second = true;
	return begin(x) ? e : 0;
}

int
connect_take(struct exec *x, int fd)
{
	x->in = x->out[0].fd = fd;
	x->socket = true; /* out[0] owns it from here on */
	x->room = PENDING_MAX;
	x->pending = malloc(x->room);
	if (!x->pending)
		return ENOMEM;
	x->exit_kind = CHANNEL_EXITED;
	x->out[0].window = CHANNEL_WINDOW;
	x->out[0].drained = false;
	return 0;
}

int
connect_start(struct exec *x)
{
	int e;

	if (through)
		return EOPNOTSUPP; /* the port would be this host's */
	e = begin(x);
	if (e)
		e = begin_second(x, e);
	if (e)
		return e;
	x->connecting = true;
	return connect_take(x, x->in);
}

void
connect_done(struct agent *a, struct exec *x)
{
	unsigned char pid[4] = { 0 };
	socklen_t n = sizeof(int);
	int e = 0;

	if (getsockopt(x->in, SOL_SOCKET, SO_ERROR, &e, &n))
		e = errno;
	if (e) {
		e = begin_second(x, e);
		if (!e)
			return; /* still connecting */
		agent_send_exit(a, x->stream, CHANNEL_EXEC_FAILED,
			(uint32_t)e);
		exec_close(x);
		return;
	}
	x->connecting = false;
	(void)agent_send(a, CHANNEL_STARTED, x->stream, pid, sizeof(pid));
	stdin_feed(a, x); /* what came meanwhile */
}

bool
connect_over(const struct exec *x)
{
	return x->socket && !x->connecting && x->in < 0 && x->out[0].drained;
}

void
connect_reset(struct exec *x)
{
	struct linger now = { .l_onoff = 1 };

	(void)setsockopt(x->out[0].fd, SOL_SOCKET, SO_LINGER, &now,
		sizeof(now));
	x->in = -1; /* the fd is closed with the slot */
	x->connecting = false;
	x->out[0].drained = true;
	x->exit_value = ECONNRESET;
}
