#include "lib/base/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

/* ---- waiting ---- */

static int
reap(struct child *c, struct proc_status *ret, struct err *err)
{
	int status;

	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "cannot wait for process %d",
				(int)c->pid);
	*ret = (struct proc_status){ .signaled = WIFSIGNALED(status),
		.value = WIFSIGNALED(status) ? WTERMSIG(status) :
					       WEXITSTATUS(status) };
	c->pid = 0;
	cleanup_close(&c->pidfd);
	c->pidfd = -1;
	return 0;
}

/* Has it ended?  0 when the deadline passed first, -1 on error. */
static int
ended(const struct child *c, int64_t deadline, struct err *err)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, clock_left(deadline));
	while ((n < 0 && errno == EINTR) || (n == 0 && clock_left(deadline)));
	return n < 0 ? err_sys(err, "poll") : n;
}

int
proc_wait(struct child *c, int64_t deadline, struct proc_status *ret,
	struct err *err)
{
	int n = ended(c, deadline, err);

	if (n < 0)
		return -1;
	if (n == 0) {
		*ret = (struct proc_status){ .timed_out = true };
		return 0;
	}
	return reap(c, ret, err);
}

void
proc_kill(const struct child *c, int sig)
{
	if (!c->pid)
		return;
	if (c->group)
		(void)kill(-c->pid, sig); /* it may have ended */
	else
		(void)syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
}

int
proc_stop(struct child *c, int64_t grace_ms, struct proc_status *ret,
	struct err *err)
{
	int n;

	*ret = (struct proc_status){ 0 };
	if (!c->pid)
		return 0;
	proc_kill(c, SIGTERM);
	n = ended(c, clock_mono() + grace_ms, err);
	if (n < 0)
		return -1;
	/* Others of its group may live on; unreaped, its number is its own. */
	if (!n || c->group)
		proc_kill(c, SIGKILL);
	return proc_wait(c, -1, ret, err);
}

void
child_close(struct child *c)
{
	cleanup_close(&c->in);
	cleanup_close(&c->out);
	cleanup_close(&c->err);
	cleanup_close(&c->pidfd);
	c->in = c->out = c->err = c->pidfd = -1;
}

int
proc_exit_status(const struct proc_status *s)
{
	if (s->timed_out)
		return EXIT_TIMEOUT;
	return s->signaled ? EXIT_SIGNAL + s->value : s->value;
}

/* ---- identity ---- */

const char *
boot_id(void)
{
	static char id[40];
	CLEANUP_CLOSE int fd = -1;
	ssize_t n;

	if (*id)
		return id;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, id, sizeof(id) - 1);
	if (n < 0)
		n = 0;
	id[n] = '\0';
	id[strcspn(id, "\n")] = '\0';
	return id;
}

/*
 * Field 22 of /proc/PID/stat, in clock ticks since boot.  Field 2 is the
 * program's own name in parentheses and may hold anything: look behind the
 * last ')'.
 */
static int
start_time(pid_t pid, int64_t *ret, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
	CLEANUP_ARGV struct argv fields = ARGV_INIT;
	const char *rest;

	if (fs_read(AT_FDCWD, path, 4096, &b, err))
		return -1;
	rest = strrchr(b.s, ')');
	if (rest)
		argv_split(&fields, rest + 1);
	if (fields.n < 20)
		return err_set(err, ERR_SYS, "'%s' is not understood", path);
	return parse_i64(fields.v[19], 0, INT64_MAX, path, ret, err);
}

int
proc_identity(pid_t pid, char **ret, struct err *err)
{
	int64_t start;

	if (start_time(pid, &start, err))
		return -1;
	*ret = xasprintf("%s:%d:%" PRId64, boot_id(), (int)pid, start);
	return 0;
}

pid_t
proc_find(const char *identity)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	struct err err = ERR_INIT;
	int64_t start, now;
	int pid;

	argv_splitc(&parts, identity, ':');
	if (parts.n != 3 || strcmp(parts.v[0], boot_id()) != 0 ||
		parse_int(parts.v[1], 1, INT32_MAX, "pid", &pid, &err) ||
		parse_i64(parts.v[2], 0, INT64_MAX, "start", &start, &err) ||
		start_time(pid, &now, &err))
		return 0;
	return now == start ? pid : 0;
}
