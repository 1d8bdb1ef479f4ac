/*
 * bare: a hypervisor and its guest with nothing between: what tests/bench/
 * vm-run compares `forge-vm run` and `forge-vm exec` with.
 *
 *	bare run KEY=VALUE... -- QEMU [ARG...]
 *		boot, run `true`, kill the hypervisor; exit status of `true`
 *	bare exec KEY=VALUE... -- QEMU [ARG...]
 *		boot; then `true` once for each line on stdin, and print what
 *		that took, in ms; ends with stdin
 *	bare relay SOCKET
 *		likewise over the control socket of a VM that runs
 * KEY=VALUE is what CONFIG tells the guest (lib/vm/channel.h); the clock and
 * the entropy are added here.  Of QEMU the channel is fd 3, the console fd 4, the
 * monitor fd 6, which nobody speaks to, and the memory fd 7, as `plan` has it.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/vm/channel.h"

static struct frame_reader reader;
static int channel, console = -1;
static pid_t hypervisor;

static void
die(const char *what)
{
	perror(what);
	if (hypervisor)
		(void)kill(hypervisor, SIGKILL);
	exit(1);
}

static int64_t
ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
boot(char **argv)
{
	int a[2], b[2], c[2], memory = memfd_create("memory", MFD_CLOEXEC);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c) ||
		memory < 0)
		die("socketpair");
	hypervisor = fork();
	if (hypervisor < 0)
		die("fork");
	if (!hypervisor) {
		/* out of the way first: a pair may be 3 and 4 itself */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
			dup2(a[1], 20) < 0 || dup2(b[1], 21) < 0 ||
			dup2(c[1], 22) < 0 || dup2(memory, 23) < 0 ||
			dup2(20, 3) < 0 || dup2(21, 4) < 0 ||
			dup2(22, 6) < 0 || dup2(23, 7) < 0)
			_exit(126);
		(void)close(20);
		(void)close(21);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	(void)close(a[1]);
	(void)close(b[1]);
	channel = a[0];
	console = b[0];
}

static void
reach(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (channel < 0 || connect(channel, (struct sockaddr *)&un, sizeof(un)))
		die(path);
}

static void
say(uint8_t type, uint16_t stream, const char *payload, size_t n)
{
	unsigned char b[FRAME_HEADER + 8192];
	struct frame f = { .type = type, .stream = stream,
		.length = (uint32_t)n };

	frame_header(&f, b);
	if (n)
		memcpy(b + FRAME_HEADER, payload, n);
	if (write(channel, b, FRAME_HEADER + n) != (ssize_t)(FRAME_HEADER + n))
		die("write");
}

/* Until a frame of this type and stream; the console is read and dropped. */
static struct frame
hear(uint8_t type, uint16_t stream)
{
	struct pollfd fds[2] = { { .fd = channel, .events = POLLIN },
		{ .fd = console, .events = POLLIN } };
	char chunk[4096];
	struct frame f;
	void *space;
	size_t size;
	ssize_t n;

	for (;;) {
		while (frame_next(&reader, &f))
			if (f.type == type && f.stream == stream)
				return f;
		if (poll(fds, 2, 120000) <= 0)
			die("poll");
		if (fds[1].revents && read(console, chunk, sizeof(chunk)) <= 0)
			fds[1].fd = -1;
		if (!fds[0].revents)
			continue;
		space = frame_reader_space(&reader, &size);
		n = read(channel, space, size);
		if (n <= 0)
			die("the guest ended");
		frame_reader_fill(&reader, (size_t)n);
	}
}

static size_t
add(char *out, size_t size, size_t at, const char *key, const char *value)
{
	int n = snprintf(out + at, size - at, "%s%s", key, value);

	if (n < 0 || (size_t)n >= size - at)
		die("CONFIG is too long");
	return at + (size_t)n + 1;
}

static void
configure(char **pairs)
{
	unsigned char seed[64];
	char text[8192], value[2 * sizeof(seed) + 1];
	size_t n = 0, i;

	for (; strcmp(*pairs, "--") != 0; pairs++)
		n = add(text, sizeof(text), n, "", *pairs);
	(void)snprintf(value, sizeof(value), "%lld",
		(long long)ns(CLOCK_REALTIME));
	n = add(text, sizeof(text), n, "clock=", value);
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		die("getrandom");
	for (i = 0; i < sizeof(seed); i++)
		(void)snprintf(value + 2 * i, 3, "%02x", seed[i]);
	n = add(text, sizeof(text), n, "entropy=", value);
	say(CHANNEL_CONFIG, 0, text, n);
}

static uint32_t
run_true(uint16_t stream)
{
	struct frame f;

	say(CHANNEL_EXEC, stream, "atrue", sizeof("atrue"));
	say(CHANNEL_STDIN_EOF, stream, NULL, 0);
	f = hear(CHANNEL_EXIT, stream);
	if (f.length != 5 || f.payload[0] != CHANNEL_EXITED)
		die("true was not run");
	return frame_get32(f.payload + 1);
}

static void
serve(void)
{
	char line[64];
	uint16_t stream = 0;

	while (fgets(line, sizeof(line), stdin)) {
		int64_t begun = ns(CLOCK_MONOTONIC);

		if (run_true(++stream ? stream : ++stream))
			die("true failed");
		printf("%.3f\n", (double)(ns(CLOCK_MONOTONIC) - begun) / 1e6);
		(void)fflush(stdout);
	}
}

int
main(int argc, char **argv)
{
	uint32_t status = 0;
	int i = 2;

	frame_reader_init(&reader);
	if (argc == 3 && !strcmp(argv[1], "relay")) {
		reach(argv[2]);
		serve();
		return 0;
	}
	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	if (i + 1 >= argc)
		return 2;
	boot(argv + i + 1);
	(void)hear(CHANNEL_HELLO, 0);
	configure(argv + 2);
	(void)hear(CHANNEL_READY, 0);
	if (!strcmp(argv[1], "run"))
		status = run_true(1);
	else
		serve();
	(void)kill(hypervisor, SIGKILL);
	(void)waitpid(hypervisor, NULL, 0);
	return (int)status;
}
