#include "cmd/forge-init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define ARGS_MAX 65536
#define PATH_DEFAULT \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- the request ---- */

static bool
push(char ***list, size_t *n, char *s)
{
	char **p;

	if (*n >= ARGS_MAX)
		return false;
	if (!(*n & (*n + 1))) { /* at 0, 1, 3, 7, ...: double it */
		p = realloc(*list, (2 * *n + 3) * sizeof(*p));
		if (!p)
			return false;
		*list = p;
	}
	(*list)[(*n)++] = s;
	(*list)[*n] = NULL;
	return true;
}

static bool
parse_one(struct request *r, char *s)
{
	char *value = s + 1;

	switch (*s) {
	case 'a':
		return push(&r->argv, &r->argc, value);
	case 'e':
		return !strchr(value, '=') || push(&r->env, &r->envc, value);
	case 'c':
		r->cwd = value;
		return true;
	case 'u':
		r->user = value;
		return true;
	case 't':
		r->tty = true;
		return sscanf(value, "%ux%u", &r->rows, &r->cols) == 2;
	case 'b':
		r->builtin = true;
		return true;
	default:
		return true;
	}
}

/* Strings of the payload stay where they are, and are cut there. */
static int
parse(struct request *r, char *payload, size_t n)
{
	char self[16];
	size_t pos = 0;
	const char *s;

	while ((s = frame_string(payload, n, &pos)))
		if (*s && !parse_one(r, payload + (s - payload)))
			return EINVAL;
	if (!r->argc || !*r->argv[0])
		return EINVAL;
	if (through)
		return 0; /* whoever it is there */
	if (r->user)
		return user_find(r->user, &r->who);
	/* root in a guest; the agent of a test is who it is */
	(void)snprintf(self, sizeof(self), "%u", (unsigned)geteuid());
	return user_find(self, &r->who);
}

/* ---- the child ---- */

static void
set_env(const struct request *r)
{
	size_t i;

	if (clearenv() || setenv("PATH", PATH_DEFAULT, 1) ||
		setenv("HOME", r->who.home, 1) ||
		setenv("USER", r->who.name, 1) ||
		setenv("LOGNAME", r->who.name, 1) ||
		setenv("SHELL", r->who.shell, 1) ||
		(r->tty && setenv("TERM", "xterm", 1)))
		return;
	for (i = 0; i < r->envc; i++)
		(void)putenv(r->env[i]);
}

static int
become(const struct request *r)
{
	if (geteuid() != 0) {
		errno = EPERM;
		return r->who.uid == geteuid() ? 0 : -1;
	}
	/* Where nobody may set groups, root without them is still root. */
	if (setgroups((size_t)r->who.ngroups, r->who.groups) &&
		(errno != EPERM || r->who.uid != 0))
		return -1;
	return setgid(r->who.gid) || setuid(r->who.uid) ? -1 : 0;
}

_Noreturn static void
run_child(const struct request *r, const int *fds, int report)
{
	const unsigned long dfl[4] = { 0 };
	sigset_t none;
	int sig, i, e;

	(void)setsid();
	if (r->tty)
		(void)ioctl(fds[0], TIOCSCTTY, 0);
	for (i = 0; i < 3; i++) {
		/* So that /dev/stdout can be opened by name. */
		if (!through)
			(void)!fchown(fds[i], r->who.uid, (gid_t)-1);
		if (dup2(fds[i], i) < 0)
			goto failed;
	}
	/* The kernel's own call: libc keeps some to itself.  All zero is
	 * SIG_DFL. */
	for (sig = 1; sig < 65; sig++)
		(void)syscall(SYS_rt_sigaction, sig, dfl, NULL, 8);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (through) {
		(void)execvp(r->argv[0], r->argv);
		goto failed;
	}
	set_env(r);
	if (become(r))
		goto failed;
	if (r->cwd ? chdir(r->cwd) : chdir(r->who.home) && chdir("/"))
		goto failed;
	if (r->builtin) {
		/* What exec would close: it has begun then. */
		(void)syscall(SYS_close_range, 3u, ~0u, 0u);
		_exit(copy_main(r->argv));
	}
	(void)execvp(r->argv[0], r->argv);
failed:
	e = errno;
	(void)!write(report, &e, sizeof(e));
	_exit(127);
}

/* ---- the parent ---- */

struct ends {
	int theirs[3];
	int ours[3];
};

static void
close_all(const int *fds)
{
	int i;

	for (i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

/* On a terminal there is one stream: stderr is part of stdout. */
static int
open_tty(const struct request *r, struct ends *e)
{
	struct winsize ws = { .ws_row = (unsigned short)r->rows,
		.ws_col = (unsigned short)r->cols };
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, &ws))
		return -1;
	(void)fcntl(master, F_SETFD, FD_CLOEXEC);
	(void)fcntl(slave, F_SETFD, FD_CLOEXEC);
	e->theirs[0] = slave;
	e->theirs[1] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	e->theirs[2] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	e->ours[0] = master;
	e->ours[1] = fcntl(master, F_DUPFD_CLOEXEC, 3);
	return e->theirs[2] < 0 || e->ours[1] < 0 ? -1 : 0;
}

static int
open_pipes(struct ends *e)
{
	int i, fds[2];

	for (i = 0; i < 3; i++) {
		if (pipe2(fds, O_CLOEXEC))
			return -1;
		e->theirs[i] = fds[i ? 1 : 0];
		e->ours[i] = fds[i ? 0 : 1];
	}
	return 0;
}

/* Returns the child's errno, 0 when it was executed. */
static int
launch(const struct request *r, const int *theirs, pid_t *ret_pid)
{
	int report[2], e = 0;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC))
		return errno;
	*ret_pid = fork();
	if (*ret_pid == 0)
		run_child(r, theirs, report[1]);
	e = *ret_pid < 0 ? errno : 0;
	(void)close(report[1]);
	if (!e) {
		do
			n = read(report[0], &e, sizeof(e));
		while (n < 0 && errno == EINTR);
		if (n != (ssize_t)sizeof(e))
			e = 0;
		else
			(void)waitpid(*ret_pid, NULL, 0);
	}
	(void)close(report[0]);
	return e;
}

static void
nonblock(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int
start(struct exec *x, const struct request *r)
{
	struct ends ends = { { -1, -1, -1 }, { -1, -1, -1 } };
	int e, i;

	e = (r->tty ? open_tty(r, &ends) : open_pipes(&ends)) ? errno : 0;
	if (!e)
		e = launch(r, ends.theirs, &x->pid);
	close_all(ends.theirs);
	if (e) {
		close_all(ends.ours);
		x->pid = 0;
		return e;
	}
	x->in = ends.ours[0];
	x->tty = r->tty;
	for (i = 0; i < 2; i++)
		x->out[i] = (struct stream_out){ .fd = ends.ours[i + 1],
			.window = CHANNEL_WINDOW,
			.drained = ends.ours[i + 1] < 0 };
	for (i = 0; i < 3; i++)
		nonblock(ends.ours[i]);
	return 0;
}

/* What is to be said before the command's own stdin. */
static int
pend(struct exec *x, const char *line)
{
	x->ours = line ? strlen(line) : 0;
	x->room = PENDING_MAX + x->ours;
	x->pending = malloc(x->room);
	if (!x->pending)
		return ENOMEM;
	if (line)
		memcpy(x->pending, line, x->ours);
	x->end = x->ours;
	return 0;
}

static int
start_through(struct exec *x, const struct request *r)
{
	struct request there = *r;
	char *line = NULL;
	int e = through_request(r, &there.argv, &line);

	if (e)
		return e;
	e = pend(x, line);
	if (!e)
		e = start(x, &there);
	free(there.argv);
	free(line);
	return e;
}

int
exec_start(struct exec *x)
{
	struct request r = { 0 };
	int e = parse(&r, x->parts, x->nparts);

	if (!e && through)
		e = start_through(x, &r);
	else if (!e)
		e = pend(x, NULL) ? ENOMEM : start(x, &r);
	free(r.argv);
	free(r.env);
	free(x->parts);
	x->parts = NULL;
	return e;
}

void
exec_resize(struct exec *x, unsigned rows, unsigned cols)
{
	struct winsize ws = { .ws_row = (unsigned short)rows,
		.ws_col = (unsigned short)cols };

	if (x->tty && x->in >= 0)
		(void)ioctl(x->in, TIOCSWINSZ, &ws);
}

void
exec_close(struct exec *x)
{
	int i;

	if (x->in >= 0 && !x->socket)
		(void)close(x->in);
	for (i = 0; i < 2; i++)
		if (x->out[i].fd >= 0)
			(void)close(x->out[i].fd);
	free(x->pending);
	free(x->parts);
	*x = EXEC_INIT;
}
