/*
 * proc: other programs, started without a shell and waited for without a
 * race.
 *
 *	struct proc p = PROC_INIT;
 *	argv_push(&p.argv, "mkfs.erofs"); ...
 *	p.out = PROC_PIPE;
 *	if (proc_spawn(&p, &child, &err)) ...	exec errors are seen here
 *	... read child.out, then close it ...
 *	proc_wait(&child, deadline, &status)
 *	proc_release(&p);
 *
 * In the child: default signal actions, empty mask, no fds but 0-2 and those
 * listed.  An fd value is passed under its own number.  Between fork and
 * exec only async-signal-safe calls are made.
 */
#ifndef FORGE_BASE_PROC_H
#define FORGE_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

/* For in, out, err: an fd number >= 0 to use (it stays open here), or: */
#define PROC_INHERIT (-1)
#define PROC_NULL (-2)
#define PROC_PIPE (-3) /* our end is in struct child */

#define PROC_FDS 8
#define PROC_CGROUPS 12

/*
 * The cgroup to begin in.  into is the directory of a version 2 one, made the
 * child's by the clone itself; join are files of tasks, open for writing,
 * that the child enters before its exec.  Borrowed.
 */
struct proc_cgroup {
	int into; /* -1: none */
	int join[PROC_CGROUPS];
	int njoin;
};

struct proc {
	struct argv argv; /* argv[0] looked up in PATH */
	struct argv env; /* NAME=VALUE to add, NAME to remove */
	int in, out, err;
	int dirfd; /* working directory, or -1 */
	int pass[PROC_FDS]; /* fds kept under their own numbers */
	int npass;
	bool new_session; /* setsid: survives our terminal */
	bool new_group; /* own process group, for proc_kill */
	/* A child of init in its own session: what proc_spawn() returns stands
	 * for its start only, and ends with 0 at once. */
	bool orphan;
	bool clear_env; /* start from nothing but env */
	bool headlong; /* do not wait for its exec: an error is status 127 */
	int parent_death; /* signal when the starting thread dies, or 0 */
	const struct proc_cgroup *cgroup; /* or NULL: ours */
	struct buf *said; /* proc_run(): gets the end of stderr; or NULL */
	int cancel; /* proc_run(): 1 + an fd: end it when readable; 0: none */
	int status; /* of proc_run(), when it exited; else -1 */
};

#define PROC_INIT                                                             \
	((struct proc){ .argv = ARGV_INIT, .env = ARGV_INIT,                  \
		.in = PROC_INHERIT, .out = PROC_INHERIT, .err = PROC_INHERIT, \
		.dirfd = -1 })
#define CLEANUP_PROC __attribute__((cleanup(proc_release)))

struct child {
	pid_t pid; /* 0: none */
	int pidfd; /* readable when it ended */
	int in, out, err; /* our ends of pipes, or -1 */
	bool group;
};

#define CHILD_INIT \
	((struct child){ .pidfd = -1, .in = -1, .out = -1, .err = -1 })

struct proc_status {
	bool timed_out;
	bool signaled;
	int value; /* exit status, or signal number */
};

void proc_release(struct proc *p);
/*
 * Fails with ERR_NOTFOUND (no such program) or ERR_SYS; then nothing runs.
 */
int proc_spawn(const struct proc *p, struct child *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Wait until it ends or the monotonic deadline (ms, -1: none) passes, then
 * timed_out is set and it still runs.  Closes nothing but, at the end, the
 * pidfd.
 */
int proc_wait(struct child *c, int64_t deadline, struct proc_status *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Signal to the process, or to its group if it has one. */
void proc_kill(const struct child *c, int sig);
/* TERM, up to grace_ms, KILL; reaped at the end.  pid 0 is success. */
int proc_stop(struct child *c, int64_t grace_ms, struct proc_status *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Close the pipe ends that are still open. */
void child_close(struct child *c);

/*
 * Run to the end: input (may be NULL) to its stdin, stdout collected up to
 * max bytes into out (may be NULL: discarded), stderr's last line used for
 * the message.  A status other than 0, death by signal or the timeout (ms)
 * is ERR_SYS / ERR_TIMEOUT; ERR_CANCELED as told by p->cancel.  p->in, out,
 * err are set by this function.
 */
int proc_run(struct proc *p, const struct buf *input, struct buf *out,
	size_t max, int64_t timeout_ms, struct err *err)
	__attribute__((warn_unused_result));

/* As a shell has it: status, or 128+signal. */
int proc_exit_status(const struct proc_status *s);

/*
 * A process as it can be stored: pid alone may be somebody else later.  The
 * identity is "BOOTID:PID:STARTTIME".
 */
int proc_identity(pid_t pid, char **ret, struct err *err)
	__attribute__((warn_unused_result));
/* The pid when that very process still lives, else 0. */
pid_t proc_find(const char *identity);
/* This boot's id from the kernel; a static buffer, "" when unreadable. */
const char *boot_id(void);

#endif
