/*
 * forge-init --agent, driven over a socket as a host drives it in a guest.
 * FORGE_INIT names the program; else it is what guests get, in FORGE_LIBEXEC,
 * or under sanitizers the one that is built for this test.
 */
#include "lib/vm/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/unit/tap.h"

#ifdef FORGE_SANITIZE
#define SANITIZED "../tests/"
#else
#define SANITIZED ""
#endif
#define WAIT 20000 /* ms, for any answer */
#define BIG (4u << 20)

static int host; /* our end */
static pid_t agent;
static struct frame_reader reader;

/* ---- the host's side of the channel ---- */

static void
send_frame(uint8_t type, uint8_t flags, uint16_t stream, const void *p,
	size_t n)
{
	static unsigned char out[FRAME_MAX];
	struct frame f = { .type = type, .flags = flags, .stream = stream,
		.length = (uint32_t)n };
	size_t at = 0;

	frame_header(&f, out);
	if (n)
		memcpy(out + FRAME_HEADER, p, n);
	while (at < FRAME_HEADER + n) {
		ssize_t k = send(host, out + at, FRAME_HEADER + n - at,
			MSG_NOSIGNAL);

		if (k < 0)
			return; /* whoever waits for the answer says it */
		at += (size_t)k;
	}
}

static void
send_u32(uint8_t type, uint16_t stream, uint32_t v)
{
	unsigned char p[4];

	frame_put32(p, v);
	send_frame(type, 0, stream, p, sizeof(p));
}

static void
send_credit(uint16_t stream, uint8_t which, uint32_t n)
{
	unsigned char p[5] = { which };

	frame_put32(p + 1, n);
	send_frame(CHANNEL_CREDIT, 0, stream, p, sizeof(p));
}

/* 1 a frame, 0 nothing within ms, -1 the end. */
static int
receive(struct frame *f, int ms)
{
	while (!frame_next(&reader, f)) {
		struct pollfd p = { .fd = host, .events = POLLIN };
		size_t room;
		void *to = frame_reader_space(&reader, &room);
		ssize_t n;

		if (poll(&p, 1, ms) <= 0)
			return 0;
		n = read(host, to, room);
		if (n <= 0)
			return -1;
		frame_reader_fill(&reader, (size_t)n);
	}
	return 1;
}

static const char *
program(void)
{
	static char path[4096];
	const char *dir = getenv("FORGE_LIBEXEC");

	(void)snprintf(path, sizeof(path), "%s/%sforge-init",
		dir ? dir : "build/libexec", SANITIZED);
	return getenv("FORGE_INIT") ? getenv("FORGE_INIT") : path;
}

/* With what options; the fd of the channel follows the first. */
static void
agent_start_as(const char *how, const char *const *rest)
{
	int pair[2];
	const char *argv[8] = { "forge-init", how };
	char fd[12];
	size_t n = 3;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
		fcntl(pair[0], F_SETFD, FD_CLOEXEC))
		exit(1);
	host = pair[0];
	frame_reader_init(&reader);
	(void)snprintf(fd, sizeof(fd), "%d", pair[1]);
	agent = fork();
	if (agent == 0) {
		argv[2] = fd;
		while (*rest)
			argv[n++] = *rest++;
		(void)execv(program(), (char **)(uintptr_t)argv);
		perror(program());
		_exit(127);
	}
	(void)close(pair[1]);
}

static void
agent_start(void)
{
	agent_start_as("--agent", (const char *[]){ NULL });
}

/* The agent's exit status once our end is closed. */
static int
agent_end(void)
{
	int status = -1;

	(void)close(host);
	(void)waitpid(agent, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- one command and what became of it ---- */

struct job {
	uint16_t stream;
	int started, closed, ended; /* frames seen */
	int kind;
	uint32_t value;
	char out[4096], err[4096]; /* their beginnings */
	size_t nout, nerr; /* all of them */
	uint32_t sum; /* of stdout's bytes and their places */
	uint32_t credit; /* for stdin */
	bool late; /* something came after EXIT */
	bool hoard; /* give no credit back */
};

static void
keep(char *to, size_t *n, const struct frame *f)
{
	size_t i;

	for (i = 0; i < f->length && *n + i < 4095; i++)
		to[*n + i] = (char)f->payload[i];
	*n += f->length;
}

static uint32_t
checksum(uint32_t sum, const unsigned char *p, size_t n)
{
	while (n--)
		sum = sum * 31 + *p++;
	return sum;
}

static void
take(struct job *j, const struct frame *f)
{
	j->late |= j->ended > 0;
	if (f->type == CHANNEL_STARTED)
		j->started++;
	if (f->type == CHANNEL_STDIN_CLOSED)
		j->closed++;
	if (f->type == CHANNEL_CREDIT && f->length == 5 && !f->payload[0])
		j->credit += frame_get32(f->payload + 1);
	if (f->type == CHANNEL_STDOUT) {
		keep(j->out, &j->nout, f);
		j->sum = checksum(j->sum, f->payload, f->length);
	}
	if (f->type == CHANNEL_STDERR)
		keep(j->err, &j->nerr, f);
	if (!j->hoard &&
		(f->type == CHANNEL_STDOUT || f->type == CHANNEL_STDERR))
		send_credit(j->stream, f->type == CHANNEL_STDOUT ? 1 : 2,
			f->length);
	if (f->type == CHANNEL_EXIT && f->length == 5) {
		j->ended++;
		j->kind = f->payload[0];
		j->value = frame_get32(f->payload + 1);
	}
}

/* Take one frame for any of n jobs; false: none came in time. */
static bool
step(struct job *jobs, size_t n, int ms)
{
	struct frame f;
	size_t i;

	if (receive(&f, ms) != 1)
		return false;
	for (i = 0; i < n; i++)
		if (jobs[i].stream == f.stream)
			take(&jobs[i], &f);
	return true;
}

/* Strings as EXEC wants them: each ends with a NUL, the last with two. */
static size_t
length(const char *request)
{
	const char *s = request;

	while (*s)
		s += strlen(s) + 1;
	return (size_t)(s - request);
}

static struct job
job(uint16_t stream, const char *request)
{
	send_frame(CHANNEL_EXEC, 0, stream, request, length(request));
	return (struct job){ .stream = stream, .credit = CHANNEL_WINDOW };
}

static void
finish(struct job *j)
{
	while (!j->ended && step(j, 1, WAIT))
		;
	j->out[j->nout < 4095 ? j->nout : 4095] = '\0';
	j->err[j->nerr < 4095 ? j->nerr : 4095] = '\0';
}

static struct job
run(const char *request)
{
	struct job j = job(1, request);

	finish(&j);
	return j;
}

#define SH(script) "ash\0a-c\0a" script "\0"

/* ---- what is tested ---- */

static void
statuses(void)
{
	static const struct {
		const char *name, *request;
		int kind;
		uint32_t value;
	} cases[] = {
		{ "exit 0", "atrue\0", CHANNEL_EXITED, 0 },
		{ "exit 1", "afalse\0", CHANNEL_EXITED, 1 },
		{ "exit 42", SH("exit 42"), CHANNEL_EXITED, 42 },
		{ "exit 255", SH("exit 255"), CHANNEL_EXITED, 255 },
		{ "killed", SH("kill -9 $$"), CHANNEL_SIGNALED, SIGKILL },
		{ "terminated", SH("kill $$"), CHANNEL_SIGNALED, SIGTERM },
		{ "no such command", "anosuchcommand\0", CHANNEL_EXEC_FAILED,
			ENOENT },
		{ "no such file", "a/nosuch/file\0", CHANNEL_EXEC_FAILED,
			ENOENT },
		{ "not executable", "a/etc/passwd\0", CHANNEL_EXEC_FAILED,
			EACCES },
		{ "no such directory", "c/nosuch\0atrue\0",
			CHANNEL_EXEC_FAILED, ENOENT },
		{ "no such user", "unosuchuser\0atrue\0",
			CHANNEL_EXEC_FAILED, ENOENT },
		{ "no command", "c/\0", CHANNEL_EXEC_FAILED, EINVAL },
		{ "an empty command", "a\0", CHANNEL_EXEC_FAILED, EINVAL },
		{ "a bad size of terminal", "tbig\0atrue\0",
			CHANNEL_EXEC_FAILED, EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct job j = run(cases[i].request);
		bool ran = cases[i].kind != CHANNEL_EXEC_FAILED;

		is_int(j.kind, cases[i].kind, cases[i].name);
		is_int(j.value, cases[i].value, cases[i].name);
		is_int(j.started, ran, "started exactly when it ran");
	}
}

static void
surroundings(void)
{
	struct job j = run(SH("echo out; echo err >&2; echo out"));

	is_str(j.out, "out\nout\n", "stdout");
	is_str(j.err, "err\n", "stderr apart from it");
	j = run("c/usr\0eGREETING=hello world\0" SH("pwd; echo $GREETING"));
	is_str(j.out, "/usr\nhello world\n", "directory and environment");
	j = run("ePATH=/nosuch\0asort\0");
	is_int(j.value, ENOENT, "PATH of the request is searched");
	j = run("eNOVALUE\0" SH("env | grep -c NOVALUE"));
	is_str(j.out, "0\n", "a variable without '=' is left out");
	(void)setenv("FORGE_TEST_LEAK", "1", 1);
	j = run("aenv\0");
	ok(strstr(j.out, "PATH=/") && strstr(j.out, "HOME=/"),
		"the minimal environment is there");
	j = run(SH("ls /proc/self/fd | tr '\\n' ' '"));
	is_str(j.out, "0 1 2 3 ", "no other descriptor is open");
	j = run(SH("cut -d' ' -f6 /proc/self/stat; "
		   "grep -c '^Sig\\(Blk\\|Ign\\):.0*$' /proc/self/status"));
	ok(strtol(j.out, NULL, 10) > 1, "a session of its own");
	ok(strstr(j.out, "\n2\n") != NULL, "no signal blocked or ignored");
}

static void
users(void)
{
	struct job j;

	if (geteuid() != 0) {
		skip("users", "only root can change them");
		return;
	}
	j = run("unobody\0" SH("id -un; id -u; echo $USER; echo >/dev/stdout"));
	is_str(j.out, "nobody\n65534\nnobody\n\n", "a user by name");
	is_int(j.value, 0, "who can open /dev/stdout");
	j = run("u1234:567\0c/\0" SH("id -u; id -g; id -G; echo $HOME"));
	is_str(j.out, "1234\n567\n567\n/\n", "by numbers nobody has");
	j = run(SH("id -u; echo $HOME $USER"));
	is_str(j.out, "0\n/root root\n", "root when none is named");
}

/* Send n patterned bytes to stdin, never more than there is credit for. */
static uint32_t
pour(struct job *j, size_t n)
{
	static unsigned char chunk[FRAME_PAYLOAD_MAX];
	uint32_t sum = 0;
	size_t i, sent = 0;

	while (sent < n && !j->ended) {
		size_t k = n - sent < sizeof(chunk) ? n - sent : sizeof(chunk);

		if (j->credit < k) {
			if (!step(j, 1, WAIT))
				break;
			continue;
		}
		for (i = 0; i < k; i++)
			chunk[i] = (unsigned char)((sent + i) * 2654435761u >>
				13);
		send_frame(CHANNEL_STDIN, 0, j->stream, chunk, k);
		sum = checksum(sum, chunk, k);
		j->credit -= (uint32_t)k;
		sent += k;
		while (step(j, 1, 0))
			;
	}
	return sum;
}

static void
both_ways(void)
{
	struct job j = job(1, "acat\0");
	uint32_t sum = pour(&j, BIG);

	send_frame(CHANNEL_STDIN_EOF, 0, 1, NULL, 0);
	finish(&j);
	is_int((int64_t)j.nout, BIG, "4 MB through cat");
	is_int(j.sum, sum, "and each byte as it was");
	is_int(j.credit, CHANNEL_WINDOW, "all credit for stdin came back");
	is_int(j.kind + (int)j.value + (int)j.nerr, 0, "and cat said nothing");
}

/* A command that writes on and on while we give nothing back. */
static void
back_pressure(void)
{
	struct job j = job(1, "acat\0a/dev/zero\0");

	j.hoard = true;
	while (step(&j, 1, 300))
		;
	is_int((int64_t)j.nout, CHANNEL_WINDOW, "not a byte over the window");
	send_credit(1, 1, 1000);
	while (step(&j, 1, 300))
		;
	is_int((int64_t)j.nout, CHANNEL_WINDOW + 1000, "then what was allowed");
	send_credit(1, 1, UINT32_MAX);
	send_credit(1, 7, 1000);
	while (step(&j, 1, 300))
		;
	is_int((int64_t)j.nout, CHANNEL_WINDOW + 1000, "absurd credit is none");
	send_u32(CHANNEL_SIGNAL, 1, SIGKILL);
	send_credit(1, 1, CHANNEL_WINDOW);
	finish(&j);
	is_int(j.kind, CHANNEL_SIGNALED, "it can be killed all the same");
}

/* And one that does not read: we run out of credit, and lose nothing. */
static void
slow_reader(void)
{
	struct job j = job(1, SH("sleep 0.3; wc -c"));
	static const char z[FRAME_PAYLOAD_MAX];
	int i;

	for (i = 0; i < (int)(CHANNEL_WINDOW / FRAME_PAYLOAD_MAX); i++)
		send_frame(CHANNEL_STDIN, 0, 1, z, sizeof(z));
	/* one byte more than promised: it may be dropped, nothing else */
	send_frame(CHANNEL_STDIN_EOF, 0, 1, NULL, 0);
	finish(&j);
	is_int(strtol(j.out, NULL, 10), CHANNEL_WINDOW, "a window full, kept");
}

static void
stdin_closed(void)
{
	struct job j = job(1, SH("exec <&-; sleep 0.2; echo ok"));

	while (!j.closed && !j.ended && step(&j, 1, WAIT))
		;
	is_int(j.closed, 1, "told at once that nobody reads");
	send_frame(CHANNEL_STDIN, 0, 1, "abc", 3);
	finish(&j);
	is_str(j.out, "ok\n", "the command goes on");
	is_int(j.credit, CHANNEL_WINDOW + 3, "what was sent is forgotten");
	j = job(1, "atrue\0");
	send_frame(CHANNEL_STDIN, 0, 1, "abc", 3);
	finish(&j);
	is_int(j.value, 0, "input for a command that ignores it");
}

static bool
gone(pid_t pid)
{
	struct timespec ms = { .tv_nsec = 10000000 };
	int i;

	for (i = 0; i < 300 && !kill(pid, 0); i++)
		(void)nanosleep(&ms, NULL);
	return i < 300;
}

/*
 * Scripts here do not start anything after they have said that they are up:
 * dash loses a signal that comes while it is in vfork.
 */
static void
signals(void)
{
	struct job j = job(1, SH("trap 'echo got; exit 7' TERM; sleep 100 & "
		"echo up; wait"));
	pid_t pid;

	while (!j.nout && step(&j, 1, WAIT))
		;
	send_u32(CHANNEL_SIGNAL, 1, SIGTERM);
	finish(&j);
	is_str(j.out, "up\ngot\n", "a signal is delivered");
	is_int(j.value, 7, "and handled");
	j = job(1, SH("sleep 100 & echo $!; wait"));
	while (!j.nout && step(&j, 1, WAIT))
		;
	pid = (pid_t)strtol(j.out, NULL, 10);
	send_u32(CHANNEL_SIGNAL, 1, 0);
	send_u32(CHANNEL_SIGNAL, 1, 1000);
	send_u32(CHANNEL_SIGNAL, 1, SIGUSR1);
	finish(&j);
	is_int(j.kind, CHANNEL_SIGNALED, "a signal ends it");
	is_int(j.value, SIGUSR1, "and no other than was asked for");
	ok(pid > 1 && gone(pid), "with the whole group");
}

/* A daemon holds the pipes, or even writes to them: EXIT does not wait. */
static void
grandchildren(void)
{
	struct job j = run(SH("echo before; sleep 3 & exit 5"));

	is_str(j.out, "before\n", "all that was written before the exit");
	is_int(j.value, 5, "EXIT does not wait for a silent grandchild");
	j = run(SH("yes & sleep 0.1; exit 6"));
	is_int(j.value, 6, "nor for one that never stops writing");
	j = run(SH("head -c 60000 /dev/zero; exit 3"));
	is_int((int64_t)j.nout, 60000, "a pipe full at the exit");
}

static void
terminal(void)
{
	struct job j = job(1, "t24x80\0" SH("stty size; test -t 0 && test -t 2"
		" && echo $TERM; read x; stty size; echo [$x]; echo e >&2"));
	unsigned char size[4];

	while (!strstr(j.out, "xterm") && step(&j, 1, WAIT))
		j.out[j.nout < 4095 ? j.nout : 4095] = '\0';
	frame_put16(size, 50);
	frame_put16(size + 2, 132);
	send_frame(CHANNEL_WINSIZE, 0, 1, size, sizeof(size));
	send_frame(CHANNEL_STDIN, 0, 1, "hi\r", 3);
	finish(&j);
	is_str(j.out, "24 80\r\nxterm\r\nhi\r\n50 132\r\n[hi]\r\ne\r\n",
		"a terminal, its size, its echo");
	is_int((int64_t)j.nerr, 0, "with one stream");
	j = job(1, "t24x80\0acat\0");
	send_frame(CHANNEL_STDIN, 0, 1, "x\r", 2);
	send_frame(CHANNEL_STDIN_EOF, 0, 1, NULL, 0);
	finish(&j);
	is_str(j.out, "x\r\nx\r\n", "the end of input is control-D");
	is_int(j.value, 0, "and cat ends");
	j = job(1, "t24x80\0acat\0");
	while (!j.started && step(&j, 1, WAIT))
		;
	send_frame(CHANNEL_STDIN, 0, 1, "\3", 1);
	finish(&j);
	is_int(j.value, SIGINT, "control-C interrupts");
	j = run("t24x80\0" SH("seq 20000; sleep 5 & exit 4"));
	ok(j.nout == 128894 && j.value == 4, "the rest of a long output");
}

/* ---- connections ---- */

static uint16_t
listen_port(int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(*ret_fd, (struct sockaddr *)&a, n) || listen(*ret_fd, 1) ||
		getsockname(*ret_fd, (struct sockaddr *)&a, &n))
		exit(1);
	return ntohs(a.sin_port);
}

static struct job
connect_to(uint16_t stream, uint16_t port)
{
	struct job j = { .stream = stream };
	unsigned char p[2];

	frame_put16(p, port);
	send_frame(CHANNEL_CONNECT, 0, stream, p, sizeof(p));
	return j;
}

static void
connections(void)
{
	struct linger now = { .l_onoff = 1 };
	int listener, fd;
	uint16_t port = listen_port(&listener);
	struct job j = connect_to(1, port);
	char text[16] = "";

	send_frame(CHANNEL_STDIN, 0, 1, "ping", 4);
	send_frame(CHANNEL_STDIN_EOF, 0, 1, NULL, 0);
	fd = accept(listener, NULL, NULL);
	ok(read(fd, text, 4) == 4 && !strcmp(text, "ping"), "a connection");
	is_int(read(fd, text, 1), 0, "half-closed by the host");
	ok(write(fd, "pong", 4) == 4, "still answers");
	(void)close(fd);
	finish(&j);
	is_str(j.out, "pong", "and the answer comes");
	ok(j.started && !j.late && j.kind == CHANNEL_EXITED && !j.value,
		"then the end");

	j = connect_to(1, port);
	fd = accept(listener, NULL, NULL);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(fd);
	finish(&j);
	is_int(j.value, ECONNRESET, "a reset is told");

	j = connect_to(1, port);
	fd = accept(listener, NULL, NULL);
	send_u32(CHANNEL_SIGNAL, 1, SIGKILL);
	finish(&j);
	ok(read(fd, text, 1) < 0 && errno == ECONNRESET, "and passed on");
	(void)close(fd);

	(void)close(listener);
	j = connect_to(1, port);
	finish(&j);
	is_int(j.kind, CHANNEL_EXEC_FAILED, "nobody listens");
	is_int(j.value, ECONNREFUSED, "is told as such");
	send_frame(CHANNEL_CONNECT, 0, 0, "\1\1", 2);
	send_frame(CHANNEL_CONNECT, 0, 2, "\1", 1);
	is_int(run("atrue\0").value, 0, "and the agent goes on");
}

/* The port that a LISTEN of stream 1 got; 0: it was refused. */
static uint16_t
listen_there(uint16_t port)
{
	unsigned char p[2];
	struct frame f;

	frame_put16(p, port);
	send_frame(CHANNEL_LISTEN, 0, 1, p, sizeof(p));
	return receive(&f, WAIT) == 1 && f.type == CHANNEL_STARTED && f.length == 4 ?
		(uint16_t)frame_get32(f.payload) :
		0;
}

static int
connect_here(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void
reverse(void)
{
	struct job j = { .stream = 2 }, end = { .stream = 1 };
	uint16_t port = listen_there(0);
	unsigned char p[2];
	char text[16] = "";
	int fd;

	ok(port != 0, "listens on a port of its choice");
	fd = connect_here(port);
	ok(fd >= 0 && write(fd, "ping", 4) == 4 && !shutdown(fd, SHUT_WR),
		"a connection waits until there is an ACCEPT");
	frame_put16(p, port);
	send_frame(CHANNEL_ACCEPT, 0, 2, p, sizeof(p));
	send_frame(CHANNEL_STDIN_EOF, 0, 1, NULL, 0); /* not a listener's */
	while (!j.started && step(&j, 1, WAIT))
		;
	send_frame(CHANNEL_STDIN, 0, 2, "pong", 4);
	send_frame(CHANNEL_STDIN_EOF, 0, 2, NULL, 0);
	finish(&j);
	is_str(j.out, "ping", "then what it said comes");
	ok(read(fd, text, sizeof(text)) == 4 && !strcmp(text, "pong"),
		"and what is answered goes");
	(void)close(fd);
	send_frame(CHANNEL_ACCEPT, 0, 2, p, sizeof(p));
	send_u32(CHANNEL_SIGNAL, 2, SIGKILL);
	j = (struct job){ .stream = 2 };
	finish(&j);
	ok(!j.started && !j.value, "one that waits is given up");
	send_u32(CHANNEL_SIGNAL, 1, SIGKILL);
	finish(&end);
	ok(connect_here(port) < 0, "and so is the listener");
	send_frame(CHANNEL_ACCEPT, 0, 2, p, sizeof(p));
	j = (struct job){ .stream = 2 };
	finish(&j);
	is_int(j.value, ECONNREFUSED, "without one nothing is accepted");
	port = listen_port(&fd);
	frame_put16(p, port);
	send_frame(CHANNEL_LISTEN, 0, 2, p, sizeof(p));
	j = (struct job){ .stream = 2 };
	finish(&j);
	is_int(j.value, EADDRINUSE, "a port that is taken is told");
	(void)close(fd);
}

static void
many(void)
{
	static struct job jobs[65];
	char request[64];
	size_t i, n = 0, right = 0;

	for (i = 0; i < 65; i++) {
		size_t len = (size_t)snprintf(request, sizeof(request),
			"ash%ca-c%caread x; echo %zu; exit %zu%c", 0, 0, i, i,
			0);

		send_frame(CHANNEL_EXEC, 0, (uint16_t)(i + 1), request, len);
		jobs[i] = (struct job){ .stream = (uint16_t)(i + 1) };
	}
	while (!jobs[64].ended && step(jobs, 65, WAIT))
		;
	is_int(jobs[64].kind, CHANNEL_EXEC_FAILED, "the 65th is refused");
	is_int(jobs[64].value, EAGAIN, "for now");
	for (i = 64; i--;)
		send_frame(CHANNEL_STDIN, 0, (uint16_t)(i + 1), "\n", 1);
	while (n < 64 && step(jobs, 64, WAIT))
		for (n = i = 0; i < 64; i++)
			n += jobs[i].ended;
	for (i = 0; i < 64; i++)
		right += jobs[i].ended == 1 && jobs[i].value == i &&
			(size_t)strtol(jobs[i].out, NULL, 10) == i &&
			!jobs[i].late;
	is_int((int64_t)right, 64, "64 at once, each with its own answer");
}

/* EXEC in parts, those of two streams mixed, and one that is too long. */
static void
parts(void)
{
	static char big[FRAME_PAYLOAD_MAX];
	struct job j[2] = { { .stream = 1 }, { .stream = 2 } };
	int i;

	send_frame(CHANNEL_EXEC, FRAME_MORE, 1, "aec", 3);
	send_frame(CHANNEL_EXEC, FRAME_MORE, 2, "aecho\0aother", 12);
	send_frame(CHANNEL_EXEC, 0, 1, "ho\0aone", 8);
	send_frame(CHANNEL_EXEC, 0, 2, "\0", 1);
	while (!(j[0].ended && j[1].ended) && step(j, 2, WAIT))
		;
	is_str(j[0].out, "one\n", "a request in parts");
	is_str(j[1].out, "other\n", "mixed with another's");
	memset(big, 'x', sizeof(big));
	j[0] = (struct job){ .stream = 1 };
	send_frame(CHANNEL_EXEC, FRAME_MORE, 1, "aecho\0a", 7);
	for (i = 0; i < (int)(CHANNEL_EXEC_MAX / sizeof(big)) + 3; i++)
		send_frame(CHANNEL_EXEC, FRAME_MORE, 1, big, sizeof(big));
	send_frame(CHANNEL_EXEC, 0, 1, "\0aecho\0abad", 12);
	finish(&j[0]);
	is_int(j[0].kind, CHANNEL_EXEC_FAILED, "too long a request");
	is_int(j[0].value, E2BIG, "is refused as a whole");
	is_int(run("atrue\0").value, 0, "and its stream is free again");
}

/* Garbage, wrong lengths, streams that are not open: nothing happens. */
static void
flood(void)
{
	static unsigned char noise[1 << 20];
	uint32_t x = 7;
	struct frame f;
	size_t i, at = 0;
	int type;

	for (i = 0; i < sizeof(noise); i++) {
		x = x * 1664525u + 1013904223u;
		noise[i] = (unsigned char)(x >> 24);
	}
	while (at < sizeof(noise)) {
		ssize_t k = send(host, noise + at, sizeof(noise) - at,
			MSG_NOSIGNAL);

		if (k < 0)
			break;
		at += (size_t)k;
	}
	for (type = 0; type < 256; type++)
		for (i = 0; i < 4; i++)
			if (type != CHANNEL_SHUTDOWN && type != CHANNEL_EXEC &&
				type != CHANNEL_PING)
				send_frame((uint8_t)type, 0, (uint16_t)(i * 9),
					noise, i * i * 1000);
	send_frame(CHANNEL_PING, 0, 0, noise, 65);
	send_frame(CHANNEL_PING, 0, 0, "alive", 5);
	ok(receive(&f, WAIT) == 1 && f.type == CHANNEL_PONG && f.length == 5 &&
		!memcmp(f.payload, "alive", 5), "alive after a flood");
	is_int(run("atrue\0").value, 0, "and at work");
}

/* Seconds of processor time of the agent so far. */
static double
cpu(void)
{
	char path[64], text[1024];
	unsigned long user = 0, sys = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)agent);
	f = fopen(path, "re");
	if (f && fgets(text, sizeof(text), f) && strrchr(text, ')'))
		(void)sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d "
			"%*u %*u %*u %*u %*u %lu %lu", &user, &sys);
	if (f)
		(void)fclose(f);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static void
idle(void)
{
	struct job j = job(1, SH("exec <&-; sleep 0.5"));
	struct job held = { .stream = 2, .hoard = true };
	struct timespec half = { .tv_nsec = 500000000 };
	double before;

	send_frame(CHANNEL_EXEC, 0, 2, "acat\0a/dev/zero", 16);
	while (held.nout < CHANNEL_WINDOW && step(&held, 1, WAIT))
		;
	before = cpu();
	(void)nanosleep(&half, NULL);
	ok(cpu() - before < 0.1, "waiting costs nothing");
	send_u32(CHANNEL_SIGNAL, 2, SIGKILL);
	before = cpu();
	(void)nanosleep(&half, NULL);
	ok(cpu() - before < 0.1, "nor does an end that has no credit");
	send_credit(2, 1, CHANNEL_WINDOW);
	finish(&held);
	is_int(held.value, SIGKILL, "which comes with the credit");
	(void)j;
}

static void
ends(void)
{
	struct job j = job(1, SH("trap '' TERM HUP; echo $$; "
		"while :; do sleep 1; done"));
	pid_t pid;

	while (!j.nout && step(&j, 1, WAIT))
		;
	pid = (pid_t)strtol(j.out, NULL, 10);
	is_int(agent_end(), 0, "exit 0 when the host's end is closed");
	ok(pid > 1 && gone(pid), "with its commands killed");
	agent_start();
	j = job(1, SH("trap 'exit 0' TERM; sleep 100 & echo $$; wait"));
	while (!j.nout && step(&j, 1, WAIT))
		;
	pid = (pid_t)strtol(j.out, NULL, 10);
	send_u32(CHANNEL_SHUTDOWN, 0, 5000);
	ok(pid > 1 && gone(pid), "SHUTDOWN ends the commands");
	is_int(agent_end(), 0, "and the agent");
}

/* Is the next frame of this type? */
static bool
says(uint8_t type)
{
	struct frame f;

	return receive(&f, WAIT) == 1 && f.type == type;
}

/* The agent of a machine that somebody else booted. */
static void
guest(void)
{
	struct job j;

	agent_start_as("--guest", (const char *[]){ NULL });
	ok(says(CHANNEL_HELLO), "guest: HELLO");
	send_frame(CHANNEL_CONFIG, 0, 0, "hostname=other\0", 15);
	ok(says(CHANNEL_READY), "guest: READY after CONFIG");
	j = run(SH("hostname; ls /proc/self/fd | tr '\\n' ' '"));
	ok(!strstr(j.out, "other"), "which it does not obey");
	ok(strstr(j.out, "\n0 1 2 3 ") != NULL, "commands have no channel");
	is_int(agent_end(), 0, "guest: exit 0 at the channel's end");
}

/* Commands where no agent of ours runs: here by `sh -c`. */
static void
through(void)
{
	struct job j;

	agent_start_as("--guest",
		(const char *[]){ "--through", "sh", "-c", NULL });
	if (!says(CHANNEL_HELLO))
		ok(false, "through: HELLO");
	send_frame(CHANNEL_CONFIG, 0, 0, "hostname=other\0", 15);
	ok(says(CHANNEL_READY), "through: READY");
	j = run("c/usr\0eA=it's \\ \"$HOME\"\nand more\0"
		SH("pwd; echo \"$A\"; exit 7"));
	is_str(j.out, "/usr\nit's \\ \"$HOME\"\nand more\n",
		"directory, environment and arguments come through");
	is_int(j.value, 7, "the exit status too");
	j = job(1, "eSECRET=hunter2\0" SH("cat; cat /proc/[0-9]*/cmdline "
		"2>/dev/null | tr -d '\\0' | grep -c hunter[2]"));
	send_frame(CHANNEL_STDIN, 0, 1, "in\0put", 6);
	send_frame(CHANNEL_STDIN_EOF, 0, 1, NULL, 0);
	finish(&j);
	ok(j.nout > 6 && !memcmp(j.out, "in\0put", 6),
		"stdin is the command's, from its first byte");
	is_int(j.credit, CHANNEL_WINDOW + 6, "and credited without our line");
	is_str(j.out + 6, "0\n", "no command line has a secret");
	j = run("t24x80\0atrue\0");
	is_int(j.value, EOPNOTSUPP, "no terminal");
	j = run("b\0aget\0a/etc/passwd\0");
	is_int(j.value, EOPNOTSUPP, "no files, which would be this host's");
	send_frame(CHANNEL_CONNECT, 0, 1, "\0\x16", 2);
	j = (struct job){ .stream = 1 };
	finish(&j);
	is_int(j.kind, CHANNEL_EXEC_FAILED, "no connection to this host");
	is_int(j.value, EOPNOTSUPP, "and why");
	is_int(agent_end(), 0, "through: exit 0 at the channel's end");
}

int
main(void)
{
	struct frame f;

	if (access(program(), X_OK)) {
		printf("Bail out! %s is not built\n", program());
		return 1;
	}
	agent_start();
	ok(receive(&f, WAIT) == 1 && f.type == CHANNEL_READY, "READY");
	statuses();
	surroundings();
	users();
	both_ways();
	back_pressure();
	slow_reader();
	stdin_closed();
	signals();
	grandchildren();
	terminal();
	connections();
	reverse();
	many();
	parts();
	flood();
	idle();
	ends();
	guest();
	through();
	return done();
}
