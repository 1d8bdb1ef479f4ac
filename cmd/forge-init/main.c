#include "cmd/forge-init/init.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
usage(FILE *to, int status)
{
	fputs("Usage: forge-init --agent FD\n"
	      "       forge-init --guest IN[,OUT] [--through COMMAND...]\n"
	      "Inside a guest it is PID 1; people do not call it.\n", to);
	return status;
}

static int
serve(const char *fd)
{
	static struct agent a;
	char *end;
	long n = strtol(fd, &end, 10);

	if (end == fd || *end || n < 0 || n > 65535 ||
		fcntl((int)n, F_GETFD) < 0) {
		fprintf(stderr, "forge-init: --agent: '%s' is not an open fd\n",
			fd);
		return 2;
	}
	a.fd = a.out = (int)n;
	open_standard();
	/* Commands get none of what we inherited; 4: CLOSE_RANGE_CLOEXEC. */
	(void)syscall(SYS_close_range, 3u, ~0u, 4u);
	(void)fcntl(a.fd, F_SETFD, FD_CLOEXEC);
	frame_reader_init(&a.reader);
	if (!agent_send(&a, CHANNEL_READY, 0, NULL, 0))
		agent_loop(&a);
	return 0;
}

int
main(int argc, char **argv)
{
	init_began_us = uptime_us();
	if (getpid() == 1 && argc <= 1)
		boot();
	if (getpid() == 1 && argc == 3 && !strcmp(argv[1], "--place"))
		place(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("forge-init " FORGE_VERSION) < 0;
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(stdout, 0);
	if (argc == 3 && !strcmp(argv[1], "--agent"))
		return serve(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--guest"))
		return guest(argv[2], NULL);
	if (argc > 4 && !strcmp(argv[1], "--guest") &&
		!strcmp(argv[3], "--through"))
		return guest(argv[2], argv + 4);
	/* The kernel passes words of its command line that it does not know. */
	if (getpid() == 1)
		boot();
	return usage(stderr, 2);
}
