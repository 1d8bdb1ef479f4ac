/*
 * A command on a terminal, as `forge-vm exec -t` has it: raw while it runs,
 * its size passed on, and the terminal as it was before on every way out.
 * The guest is forge-init --agent; we are the terminal.
 */
#include "lib/vm/exec_client.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "tests/unit/tap.h"

#ifdef FORGE_SANITIZE
#define SANITIZED "../tests/"
#else
#define SANITIZED ""
#endif
#define WAIT 20000 /* ms */

static int terminal; /* our end */
static pid_t client, agent;
static char seen[65536];
static size_t nseen;

static void
agent_start(int fd)
{
	const char *dir = getenv("FORGE_LIBEXEC");
	char path[4096], number[12];

	(void)snprintf(path, sizeof(path), "%s/%sforge-init",
		dir ? dir : "build/libexec", SANITIZED);
	(void)snprintf(number, sizeof(number), "%d", fd);
	agent = fork();
	if (agent == 0) {
		(void)execl(path, "forge-init", "--agent", number,
			(char *)NULL);
		_exit(127);
	}
}

_Noreturn static void
be_client(const char *script, int sock)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct exec_request request = { .argv = argv, .env_fd = -1,
		.tty = true };
	struct err err = ERR_INIT;
	int status = 99;

	if (exec_client_run(&request, sock, &status, &err))
		printf("%s\n", err.msg);
	(void)fflush(stdout);
	_exit(status);
}

/* A terminal of 33 lines, and on it a client whose guest runs script. */
static void
start(const char *script)
{
	struct winsize ws = { .ws_row = 33, .ws_col = 101 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(1);
	nseen = 0;
	(void)fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	agent_start(pair[1]);
	(void)close(pair[1]);
	client = forkpty(&terminal, NULL, NULL, &ws);
	if (client == 0)
		be_client(script, pair[0]);
	(void)close(pair[0]);
}

static void
type(const char *text)
{
	if (write(terminal, text, strlen(text)) < 0)
		perror("terminal");
}

/* Until text came, or the end, or nothing for so long. */
static bool
await_ms(const char *text, int ms)
{
	struct pollfd p = { .fd = terminal, .events = POLLIN };

	seen[nseen] = '\0';
	while (!strstr(seen, text)) {
		ssize_t n = poll(&p, 1, ms) > 0 ?
			read(terminal, seen + nseen,
				sizeof(seen) - 1 - nseen) :
			-1;

		if (n <= 0)
			return false;
		nseen += (size_t)n;
		seen[nseen] = '\0';
	}
	return true;
}

static bool
await(const char *text)
{
	return await_ms(text, WAIT);
}

static bool
is_raw(void)
{
	struct termios t;

	return !tcgetattr(terminal, &t) && !(t.c_lflag & (ICANON | ECHO)) &&
		!(t.c_oflag & OPOST);
}

/* Reads on meanwhile: the restoring waits for what was written. */
static int
finish(void)
{
	int status = -1, tries = WAIT / 20;

	while (waitpid(client, &status, WNOHANG) == 0 && tries-- > 0)
		(void)await_ms("\001 never said", 20);
	if (tries < 0) {
		(void)kill(client, SIGKILL);
		(void)waitpid(client, &status, 0);
	}
	(void)kill(agent, SIGKILL);
	(void)waitpid(agent, NULL, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

/* Its settings live as long as somebody has the other side open. */
static int
hold(void)
{
	return open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static void
ordinary(void)
{
	struct winsize ws = { .ws_row = 50, .ws_col = 132 };
	int slave;

	start("stty size; trap 'stty size' WINCH; echo ready; "
	      "while ! read x; do :; done; echo [$x]; exit 7");
	slave = hold();
	ok(await("ready"), "a command on a terminal");
	ok(strstr(seen, "33 101\r\n") != NULL, "has its size");
	ok(is_raw(), "ours is raw");
	(void)ioctl(terminal, TIOCSWINSZ, &ws);
	ok(await("50 132\r\n"), "a new size is passed on");
	type("hi\r");
	ok(await("[hi]\r\n"), "as is what is typed");
	is_int(finish(), 7, "its status");
	ok(!is_raw(), "and the terminal is as before");
	(void)close(slave);
	(void)close(terminal);
}

static void
interrupted(void)
{
	int slave;

	start("echo ready; sleep 100");
	slave = hold();
	ok(await("ready"), "control-C");
	type("\003");
	is_int(finish(), 130, "interrupts the command, not us");
	ok(!is_raw(), "and the terminal is as before");
	(void)close(slave);
	(void)close(terminal);
}

static void
vm_dies(void)
{
	int slave;

	start("echo ready; sleep 100");
	slave = hold();
	ok(await("ready") && is_raw(), "the VM dies");
	(void)kill(agent, SIGKILL);
	ok(await("the VM ended before the command did"), "that is said");
	(void)finish();
	ok(!is_raw(), "and the terminal is as before");
	(void)close(slave);
	(void)close(terminal);
}

static void
signalled(int sig, const char *name)
{
	int slave;

	start("trap 'echo got it; exit 3' TERM HUP; echo ready; "
	      "while :; do sleep 0.05; done");
	slave = hold();
	ok(await("ready") && is_raw(), name);
	(void)kill(client, sig);
	ok(await("got it"), "reaches the command");
	is_int(finish(), 3, "whose status it is");
	ok(!is_raw(), "and the terminal is as before");
	(void)close(slave);
	(void)close(terminal);
}

static void
no_command(void)
{
	int slave;

	start("exec /nowhere/at/all");
	slave = hold();
	is_int(finish(), 127, "no such command");
	ok(!is_raw(), "and the terminal is as before");
	(void)close(slave);
	(void)close(terminal);
}

int
main(void)
{
	ordinary();
	interrupted();
	vm_dies();
	signalled(SIGTERM, "TERM");
	signalled(SIGHUP, "HUP");
	no_command();
	return done();
}
