/*
 * task: programs of ours that forge-watch runs beside its loop, so that a
 * slow one (a GitHub that does not answer) delays nothing else.
 *
 *	struct tasks t = TASKS_INIT;
 *	struct task *fsck = task_add(&t, TASK_PERIODIC, "forge-vm", "fsck");
 *	argv_push(&fsck->args, ...); fsck->every = 30000;
 *	for (;;) {
 *		tasks_start(&t, state_path)		those that are due
 *		n = tasks_fds(&t, fds)
 *		poll(fds, n, clock_left(tasks_next(&t)))
 *		tasks_step(&t)				what they said, ended
 *	}
 *	tasks_release(&t)				TERM, KILL
 *
 * One task never runs twice at a time: asked for while it runs, it runs once
 * more after its end.  What it says on stdout and stderr is logged when it
 * ends, at most TASK_SAID_MAX bytes of it; one that takes longer than
 * TASK_TIMEOUT is killed.
 */
#ifndef FORGE_RUNNER_TASK_H
#define FORGE_RUNNER_TASK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/proc.h"

#define TASK_TIMEOUT 300000 /* ms */
#define TASK_SAID_MAX 65536

enum task_kind {
	TASK_PERIODIC, /* at the start, then every `every` ms, and when asked */
	TASK_ASKED, /* when asked */
	/*
	 * Always: started again when it ended, after 0, 1, 2, 4 ... 60 s as
	 * long as it fails; dies with us.  Its stderr is ours.
	 */
	TASK_KEPT,
	TASK_CONNECTION, /* at once, with a socket for stdin and stdout */
};

struct task {
	enum task_kind kind;
	const char *program;
	char *name; /* for the log: "forge-vm fsck" */
	struct argv args; /* verb first; --state=DIR follows the verb */
	int64_t every; /* ms; 0: only when asked */
	int64_t due; /* monotonic ms, -1: not */
	int64_t deadline; /* likewise, of the running one */
	int64_t started;
	struct child child; /* pid 0: does not run */
	struct buf said;
	int failures; /* in a row */
	int status; /* of the last end; -1 before */
	bool killed; /* it took too long */
	bool gone; /* to be removed at its end */
	int connection;
	bool helper; /* the program is one of libexec */
	int pass; /* an fd that each run gets under its number, or -1 */
};

struct tasks {
	struct task **v;
	size_t n;
};

#define TASKS_INIT ((struct tasks){ 0 })

/* Due at once, but for TASK_ASKED.  Owned by t; name is PROGRAM VERB. */
struct task *task_add(struct tasks *t, enum task_kind kind,
	const char *program, const char *verb);
/* One program for a connection (taken over); NULL, and it is closed, when
 * there are too many of them. */
struct task *task_serve(struct tasks *t, const char *program,
	const char *verb, int fd);
/* Run as soon as may be. */
void task_ask(struct task *task);
/* Of TASK_KEPT: end it, and start it again. */
void task_again(struct task *task);
/* Runs, or is due. */
bool task_pending(const struct task *task);
/* End it and forget it: it is removed when it has ended. */
void task_drop(struct task *task);

/* Start what is due.  A program that cannot be started is logged. */
void tasks_start(struct tasks *t, const char *state);
/* When to call again: monotonic ms, -1: never. */
int64_t tasks_next(const struct tasks *t);
/* At most 2 * t->n of them; returns how many. */
size_t tasks_fds(const struct tasks *t, struct pollfd *fds);
/* Read, reap, log; true when a task ended that was not a connection. */
bool tasks_step(struct tasks *t);
/* Run a task to its end, here and now. */
void task_run(struct tasks *t, struct task *task, const char *state);
/* TERM to those that run, KILL after 5 s; frees all. */
void tasks_release(struct tasks *t);

#endif
