#include "lib/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

void
proc_release(struct proc *p)
{
	argv_release(&p->argv);
	argv_release(&p->env);
	*p = PROC_INIT;
}

/* Everything that the child needs, made before the fork. */
struct launch {
	const struct proc *p;
	char *path;
	struct argv env;
	int fd[3]; /* the child's 0, 1, 2; -1 inherits */
	int ours[3]; /* our ends of pipes, or -1 */
	bool theirs[3]; /* fd[i] is to be closed here afterwards */
	int report; /* write end of the pipe that tells exec errors */
	pid_t parent;
	int highest; /* of the fds that are passed on */
	bool cloned; /* the clone itself put it into its cgroup */
};

/* ---- before the fork ---- */

static bool
removed_or_set(const struct argv *delta, const char *entry)
{
	size_t n = strcspn(entry, "="), i;

	for (i = 0; i < delta->n; i++)
		if (!strncmp(delta->v[i], entry, n) &&
			(delta->v[i][n] == '=' || !delta->v[i][n]))
			return true;
	return false;
}

static void
make_env(const struct proc *p, struct argv *ret)
{
	extern char **environ;
	size_t i;
	char **e;

	for (e = environ; !p->clear_env && e && *e; e++)
		if (!removed_or_set(&p->env, *e))
			argv_push(ret, *e);
	for (i = 0; i < p->env.n; i++)
		if (strchr(p->env.v[i], '='))
			argv_push(ret, p->env.v[i]);
}

static int
find_path(const char *name, char **ret, struct err *err)
{
	if (strchr(name, '/')) {
		*ret = xstrdup(name);
		return 0;
	}
	*ret = fs_which(name);
	return *ret ? 0 :
		err_set(err, ERR_NOTFOUND, "no program '%s' in PATH", name);
}

static int
open_stdio(struct launch *l, int i, int how, struct err *err)
{
	int fds[2];

	l->fd[i] = l->ours[i] = -1;
	l->theirs[i] = how == PROC_NULL || how == PROC_PIPE;
	if (how >= 0) {
		l->fd[i] = how;
	} else if (how == PROC_NULL) {
		l->fd[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (l->fd[i] < 0)
			return err_sys(err, "cannot open /dev/null");
	} else if (how == PROC_PIPE) {
		if (pipe2(fds, O_CLOEXEC))
			return err_sys(err, "cannot make a pipe");
		l->fd[i] = fds[i == 0 ? 0 : 1];
		l->ours[i] = fds[i == 0 ? 1 : 0];
	}
	return 0;
}

static void
close_theirs(struct launch *l)
{
	int i;

	for (i = 0; i < 3; i++)
		if (l->theirs[i])
			cleanup_close(&l->fd[i]);
}

static void
close_ours(struct launch *l)
{
	int i;

	for (i = 0; i < 3; i++)
		cleanup_close(&l->ours[i]);
}

/* ---- in the child: async-signal-safe calls only ---- */

_Noreturn static void
give_up(const struct launch *l)
{
	int e = errno;

	/* without SIGPIPE where nobody waits for it */
	if (!l->p->headlong && write(l->report, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

/*
 * The wanted fds may stand in one another's way (fd[1] may be 0): move all of
 * them above everything first, then down to 0, 1, 2.
 */
static void
child_stdio(struct launch *l)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (l->fd[i] < 0)
			continue;
		l->fd[i] = fcntl(l->fd[i], F_DUPFD_CLOEXEC, l->highest + 1);
		if (l->fd[i] < 0)
			give_up(l);
	}
	for (i = 0; i < 3; i++)
		if (l->fd[i] >= 0 && dup2(l->fd[i], i) < 0)
			give_up(l);
}

static bool
passed(const struct proc *p, int fd)
{
	int i;

	for (i = 0; i < p->npass; i++)
		if (p->pass[i] == fd)
			return true;
	return false;
}

/* Close-on-exec for everything, then not for those that are passed. */
static void
child_fds(const struct launch *l)
{
	int i;

	/* 4: CLOSE_RANGE_CLOEXEC; the report pipe must live until exec */
	if (syscall(SYS_close_range, 3u, ~0u, 4u)) {
		for (i = 3; i < 1024; i++)
			if (!passed(l->p, i))
				(void)fcntl(i, F_SETFD, FD_CLOEXEC);
	}
	for (i = 0; i < l->p->npass; i++)
		if (fcntl(l->p->pass[i], F_SETFD, 0))
			give_up(l);
}

/*
 * By the kernel's own call: libc keeps 32 and 33 to itself and would leave
 * them ignored where we inherited that.  The structure is the kernel's; all
 * zero is SIG_DFL, and eight bytes are its set of signals.
 */
static void
child_signals(void)
{
	const unsigned long dfl[4] = { 0 };
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++) /* KILL and STOP refuse */
		(void)syscall(SYS_rt_sigaction, sig, dfl, NULL, 8);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The parent gets this process, which ends, and never hears of the next. */
static void
child_orphan(const struct launch *l)
{
	pid_t pid = _Fork(); /* no handlers, no locks */

	if (pid < 0)
		give_up(l);
	if (pid)
		_exit(0);
}

static void
child_place(const struct launch *l)
{
	const struct proc *p = l->p;

	if (p->orphan)
		child_orphan(l);
	if ((p->new_session || p->orphan) && setsid() < 0)
		give_up(l);
	if (p->new_group && !p->new_session && setpgid(0, 0))
		give_up(l);
	if (p->dirfd >= 0 && fchdir(p->dirfd))
		give_up(l);
	if (p->parent_death) {
		if (prctl(PR_SET_PDEATHSIG, p->parent_death))
			give_up(l);
		/* Did the parent die before the line above? */
		if (getppid() != l->parent)
			_exit(127);
	}
}

/* "0" is whoever writes it. */
static void
child_cgroups(const struct launch *l)
{
	const struct proc_cgroup *c = l->p->cgroup;
	int i, fd;

	if (c && c->into >= 0 && !l->cloned) {
		fd = openat(c->into, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			give_up(l);
	}
	for (i = 0; c && i < c->njoin; i++)
		if (write(c->join[i], "0", 1) != 1)
			give_up(l);
}

_Noreturn static void
child_run(struct launch *l)
{
	child_signals();
	child_cgroups(l);
	child_place(l);
	child_stdio(l);
	child_fds(l);
	(void)execve(l->path, l->p->argv.v, l->env.v);
	give_up(l);
}

/* ---- the whole ---- */

static int
highest_fd(const struct proc *p)
{
	int i, top = 2;

	for (i = 0; i < p->npass; i++)
		if (p->pass[i] > top)
			top = p->pass[i];
	return top;
}

/* The child's errno when exec failed, 0 when the pipe closed by exec. */
static int
read_report(int fd)
{
	int e = 0;
	ssize_t n;

	do
		n = read(fd, &e, sizeof(e));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(e) ? e : 0;
}

/*
 * A fork, into a cgroup where there is one to clone into: a move afterwards
 * waits for the whole machine's forks, several ms.  The kernel's own call, as
 * libc's fork() knows nothing of cgroups; the child runs on as after a fork.
 */
static pid_t
fork_into(struct launch *l)
{
	const struct proc_cgroup *c = l->p->cgroup;
	struct clone_args args = { .exit_signal = SIGCHLD,
		.flags = CLONE_INTO_CGROUP };
	pid_t pid;

	if (!c || c->into < 0)
		return fork();
	args.cgroup = (uint64_t)c->into;
	l->cloned = true;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid >= 0 || errno != ENOSYS)
		return pid;
	l->cloned = false; /* a filter of some container */
	return fork();
}

static int
fork_it(struct launch *l, pid_t *ret_pid, struct err *err)
{
	int fds[2], e;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	/* Out of the way of fds that are passed under their own numbers. */
	l->report = fcntl(fds[1], F_DUPFD_CLOEXEC, l->highest + 1);
	(void)close(fds[1]); /* a copy is open */
	l->parent = getpid();
	pid = l->report < 0 ? -1 : fork_into(l);
	if (pid == 0)
		child_run(l);
	e = errno;
	cleanup_close(&l->report);
	if (pid < 0) {
		(void)close(fds[0]); /* nothing was read */
		errno = e;
		return err_sys(err, "cannot start '%s'", l->path);
	}
	e = l->p->headlong ? 0 : read_report(fds[0]);
	(void)close(fds[0]); /* read only */
	if (e) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = e;
		return err_sys(err, "cannot execute '%s'", l->path);
	}
	*ret_pid = pid;
	return 0;
}

static int
spawn(struct launch *l, struct child *ret, struct err *err)
{
	pid_t pid;
	int pidfd;

	if (fork_it(l, &pid, err))
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		(void)err_sys(err, "cannot watch '%s'", l->path);
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return -1;
	}
	*ret = (struct child){ .pid = pid, .pidfd = pidfd,
		.in = l->ours[0], .out = l->ours[1], .err = l->ours[2],
		.group = l->p->new_group || l->p->new_session };
	return 0;
}

int
proc_spawn(const struct proc *p, struct child *ret, struct err *err)
{
	struct launch l = { .p = p, .env = ARGV_INIT, .fd = { -1, -1, -1 },
		.ours = { -1, -1, -1 }, .report = -1 };
	int rc = -1;

	if (!p->argv.n)
		BUG("spawn of nothing");
	l.highest = highest_fd(p);
	if (find_path(p->argv.v[0], &l.path, err) ||
		open_stdio(&l, 0, p->in, err) ||
		open_stdio(&l, 1, p->out, err) ||
		open_stdio(&l, 2, p->err, err))
		goto out;
	make_env(p, &l.env);
	rc = spawn(&l, ret, err);
out:
	close_theirs(&l);
	if (rc)
		close_ours(&l);
	argv_release(&l.env);
	free(l.path);
	return rc;
}
