#include "lib/session/proxy.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/api_key.h"
#include "lib/base/banned.h"

#define SLOT_WAIT_MS 100 /* until one of too many connections has ended */

static char *
fill(const struct proxy *p, const char *url, const char *text)
{
	CLEANUP_FREE char *with_url = api_key_fill(text, "{url}", url);

	return api_key_fill(with_url, "{token}", p->token);
}

int
proxy_env(const struct proxy *p, struct argv *ret, struct argv *ret_args,
	struct err *err)
{
	CLEANUP_FREE char *url = NULL;
	struct sockaddr_storage to;
	socklen_t n = sizeof(to);
	char host[64], port[16];
	bool six;
	size_t i;

	if (getsockname(p->listen, (struct sockaddr *)&to, &n) ||
		getnameinfo((struct sockaddr *)&to, n, host, sizeof(host),
			port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return err_set(err, ERR_INVALID,
			"the proxy does not listen on a TCP port");
	six = strchr(host, ':') != NULL;
	url = xasprintf("http://%s%s%s:%s", six ? "[" : "", host,
		six ? "]" : "", port);
	for (i = 0; i < p->key->env.n; i++) {
		CLEANUP_FREE char *line = fill(p, url, p->key->env.v[i]);

		argv_push(ret, line);
	}
	for (i = 0; ret_args && i < p->key->args.n; i++) {
		CLEANUP_FREE char *words = fill(p, url, p->key->args.v[i]);

		argv_split(ret_args, words);
	}
	return 0;
}

static int
reap(int *running)
{
	while (*running && waitpid(-1, NULL, WNOHANG) > 0)
		(*running)--;
	return *running;
}

/*
 * A process for each connection: one that an agent makes trouble with takes
 * nothing of the others with it, and libcurl may wait.
 */
static void
start(const struct proxy *p, int fd, int *running)
{
	pid_t parent = getpid(), pid = fork();

	if (pid > 0)
		(*running)++;
	if (pid)
		return; /* no process to be had: the agent tries again */
	/* as its supervisor does with our parent */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(0);
	(void)close(p->listen);
	if (!fd_nonblock(fd, false))
		proxy_serve(p, fd);
	_exit(0);
}

int
proxy_run(const struct proxy *p, struct err *err)
{
	int running = 0;

	for (;;) {
		struct pollfd fds[2] = { { .fd = p->until, .events = POLLIN },
			{ .fd = p->listen, .events = POLLIN } };
		bool full = reap(&running) >= PROXY_CONNECTIONS;
		int fd;

		/* Reaped by and by: a few who ended meanwhile do no harm. */
		if (poll(fds, full ? 1 : 2, full ? SLOT_WAIT_MS : -1) < 0 &&
			errno != EINTR)
			return err_sys(err, "cannot wait for connections");
		if (fds[0].revents)
			return 0;
		if (full || !fds[1].revents)
			continue;
		fd = accept4(p->listen, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue; /* it is gone already, or fds are scarce */
		start(p, fd, &running);
		(void)close(fd); /* the child's */
	}
}
