#include "cmd/forge-init/init.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

char **through;

/* "IN,OUT", or one for both. */
static int
parse_fds(const char *s, struct agent *a)
{
	char *end;
	long in = strtol(s, &end, 10), out = in;

	if (end == s || in < 0 || in > 65535)
		return -1;
	if (*end == ',') {
		s = end + 1;
		out = strtol(s, &end, 10);
		if (end == s || out < 0 || out > 65535)
			return -1;
	}
	a->fd = (int)in;
	a->out = (int)out;
	return *end ? -1 : 0;
}

/*
 * Commands get none of what we inherited, not even as 0 and 1: those are the
 * channel where sshd started us.
 */
static int
take_channel(struct agent *a)
{
	int in = fcntl(a->fd, F_DUPFD_CLOEXEC, 10);
	int out = a->out == a->fd ? in : fcntl(a->out, F_DUPFD_CLOEXEC, 10);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (in < 0 || out < 0 || null < 0)
		return -1;
	if (a->fd <= STDERR_FILENO && dup2(null, a->fd) < 0)
		return -1;
	if (a->out <= STDERR_FILENO && dup2(null, a->out) < 0)
		return -1;
	(void)close(null);
	(void)syscall(SYS_close_range, 3u, ~0u, 4u); /* CLOSE_RANGE_CLOEXEC */
	a->fd = in;
	a->out = out;
	return 0;
}

int
guest(const char *fds, char **prefix)
{
	static struct agent a; /* 64 KiB: not in the file */
	struct frame f;

	if (parse_fds(fds, &a) || take_channel(&a)) {
		fprintf(stderr, "forge-init: --guest: '%s' is no open fd, or "
			"two with a comma between them\n", fds);
		return 2;
	}
	through = prefix;
	open_standard();
	frame_reader_init(&a.reader);
	/* Name, clock and network are the machine's own: CONFIG is read and
	 * not obeyed. */
	if (agent_hello(&a))
		return 1;
	do
		if (agent_receive(&a, &f))
			return 1;
	while (f.type != CHANNEL_CONFIG);
	if (!agent_send(&a, CHANNEL_READY, 0, NULL, 0))
		agent_loop(&a);
	return 0;
}
