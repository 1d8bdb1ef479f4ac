#include "lib/runner/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define CONNECTIONS 8 /* at the same time */
#define BACKOFF_MAX 60000 /* ms */
#define STOP_GRACE 5000 /* ms between TERM and KILL */

/* ---- the table ---- */

struct task *
task_add(struct tasks *t, enum task_kind kind, const char *program,
	const char *verb)
{
	struct task *task = xcalloc(1, sizeof(*task));

	task->kind = kind;
	task->program = program;
	task->name = xasprintf("%s %s", program, verb);
	task->due = kind == TASK_ASKED ? -1 : clock_mono();
	task->deadline = -1;
	task->status = -1;
	task->child = CHILD_INIT;
	task->args = ARGV_INIT;
	task->said = BUF_INIT;
	task->connection = task->pass = -1;
	argv_push(&task->args, verb);
	t->v = xreallocarray(t->v, t->n + 1, sizeof(struct task *));
	t->v[t->n++] = task;
	return task;
}

struct task *
task_serve(struct tasks *t, const char *program, const char *verb, int fd)
{
	struct task *task;
	size_t i, n = 0;

	for (i = 0; i < t->n; i++)
		n += t->v[i]->kind == TASK_CONNECTION;
	if (n >= CONNECTIONS) {
		(void)close(fd); /* nothing was written */
		return NULL;
	}
	task = task_add(t, TASK_CONNECTION, program, verb);
	task->connection = fd;
	return task;
}

void
task_ask(struct task *task)
{
	task->due = clock_mono();
}

bool
task_pending(const struct task *task)
{
	return task->child.pid || task->due >= 0;
}

static void
end(struct task *task)
{
	proc_kill(&task->child, SIGTERM);
	if (task->child.pid)
		task->deadline = clock_mono() + STOP_GRACE;
}

void
task_again(struct task *task)
{
	task->failures = 0;
	if (!task->child.pid)
		task->due = clock_mono();
	end(task);
}

void
task_drop(struct task *task)
{
	task->gone = true;
	task->due = -1;
	end(task);
}

static void
task_free(struct task *task)
{
	child_close(&task->child);
	cleanup_close(&task->connection);
	argv_release(&task->args);
	buf_release(&task->said);
	free(task->name);
	free(task);
}

/* ---- one run ---- */

static int
spawn(struct task *task, struct proc *p, struct err *err)
{
	CLEANUP_CLOSE int in = -1, out = -1;
	int fds[2];

	p->in = PROC_NULL;
	p->out = PROC_NULL;
	p->parent_death = SIGTERM;
	if (task->pass >= 0)
		p->pass[p->npass++] = task->pass;
	if (task->kind == TASK_KEPT)
		return proc_spawn(p, &task->child, err);
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	in = fds[0];
	out = fds[1];
	p->out = p->err = out;
	if (task->kind == TASK_CONNECTION)
		p->in = p->out = task->connection;
	(void)fd_nonblock(in, true); /* a pipe */
	if (proc_spawn(p, &task->child, err))
		return -1;
	task->child.out = steal_fd(&in);
	return 0;
}

static int
start(struct task *task, const char *state, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_FREE char *path = NULL;
	size_t i;
	int rc;

	if (task->helper ? find_helper(task->program, &path, err) :
			   find_program(task->program, &path, err))
		return -1;
	argv_push(&p.argv, path);
	argv_push(&p.argv, task->args.v[0]);
	argv_pushf(&p.argv, "--state=%s", state);
	for (i = 1; i < task->args.n; i++)
		argv_push(&p.argv, task->args.v[i]);
	buf_reset(&task->said);
	task->killed = false;
	task->started = clock_mono();
	task->deadline = task->kind == TASK_KEPT ?
		-1 :
		task->started + TASK_TIMEOUT;
	rc = spawn(task, &p, err);
	cleanup_close(&task->connection); /* the child's now */
	task->connection = -1;
	return rc;
}

/* When it runs next, after an end with this status. */
static void
schedule(struct task *task)
{
	int64_t now = clock_mono(), wait;

	task->failures = task->status ? task->failures + 1 : 0;
	if (task->kind == TASK_CONNECTION)
		task->gone = true;
	if (task->gone)
		return;
	if (task->kind == TASK_PERIODIC && task->due < 0 && task->every)
		task->due = now + task->every;
	if (task->kind != TASK_KEPT)
		return;
	/* One that ran for a while has recovered meanwhile. */
	if (now - task->started > BACKOFF_MAX)
		task->failures = 1;
	wait = task->failures > 6 ? BACKOFF_MAX : 500 << task->failures;
	task->due = now + (wait > BACKOFF_MAX ? BACKOFF_MAX : wait);
}

static void
report(const struct task *task)
{
	const char *last = strrchr(task->said.s, '\n');

	if (!task->status) {
		if (task->said.len)
			log_info("step", "program", task->name, "said",
				task->said.s, NULL);
		return;
	}
	last = last ? last + 1 : task->said.s;
	log_error("step", "program", task->name, "error",
		task->status == EXIT_TIMEOUT ? "took too long" :
			*last		     ? last :
					       "failed",
		NULL);
}

/* Beyond the maximum it is read and lost, so that nobody waits for us. */
static void
hear(struct task *task)
{
	ssize_t n = 1;

	while (n > 0 && task->child.out >= 0) {
		char lost[4096];

		n = task->said.len < TASK_SAID_MAX ?
			buf_read_some(&task->said, task->child.out,
				TASK_SAID_MAX) :
			read(task->child.out, lost, sizeof(lost));
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			cleanup_close(&task->child.out);
			task->child.out = -1;
		}
	}
}

static void
reap(struct task *task)
{
	struct err err = ERR_INIT;
	struct proc_status status;

	hear(task);
	if (proc_wait(&task->child, -1, &status, &err)) {
		log_error("step", "program", task->name, "error", err.msg, NULL);
		status = (struct proc_status){ .value = EXIT_FAILED };
	}
	task->status = proc_exit_status(&status);
	if (task->killed)
		task->status = EXIT_TIMEOUT;
	child_close(&task->child);
	task->child = CHILD_INIT;
	buf_rtrim(&task->said);
	if (!task->gone)
		report(task);
	schedule(task);
}

/* ---- all of them ---- */

static void
try_start(struct task *task, const char *state)
{
	struct err err = ERR_INIT;

	task->due = -1;
	if (!start(task, state, &err))
		return;
	log_error("step", "program", task->name, "error", err.msg, NULL);
	task->status = EXIT_FAILED;
	schedule(task);
}

static void
sweep_out(struct tasks *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->n; i++)
		if (t->v[i]->gone && !t->v[i]->child.pid)
			task_free(t->v[i]);
		else
			t->v[n++] = t->v[i];
	t->n = n;
}

void
tasks_start(struct tasks *t, const char *state)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (!t->v[i]->child.pid && t->v[i]->due >= 0 &&
			clock_left(t->v[i]->due) == 0)
			try_start(t->v[i], state);
	sweep_out(t);
}

int64_t
tasks_next(const struct tasks *t)
{
	int64_t next = -1;
	size_t i;

	for (i = 0; i < t->n; i++) {
		const struct task *task = t->v[i];
		int64_t at = task->child.pid ? task->deadline : task->due;

		if (at >= 0 && (next < 0 || at < next))
			next = at;
	}
	return next;
}

size_t
tasks_fds(const struct tasks *t, struct pollfd *fds)
{
	size_t i, n = 0;

	for (i = 0; i < t->n; i++) {
		const struct child *c = &t->v[i]->child;

		if (!c->pid)
			continue;
		fds[n++] = (struct pollfd){ .fd = c->pidfd, .events = POLLIN };
		fds[n++] = (struct pollfd){ .fd = c->out, .events = POLLIN };
	}
	return n;
}

static bool
has_ended(const struct child *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

bool
tasks_step(struct tasks *t)
{
	bool news = false;
	size_t i;

	for (i = 0; i < t->n; i++) {
		struct task *task = t->v[i];

		if (!task->child.pid)
			continue;
		hear(task);
		if (has_ended(&task->child)) {
			reap(task);
			news |= task->kind != TASK_CONNECTION;
		} else if (task->deadline >= 0 &&
			clock_left(task->deadline) == 0) {
			proc_kill(&task->child, SIGKILL);
			task->killed = true;
			task->deadline = -1;
		}
	}
	sweep_out(t);
	return news;
}

void
task_run(struct tasks *t, struct task *task, const char *state)
{
	try_start(task, state);
	while (task->child.pid) {
		struct pollfd fds[] = {
			{ .fd = task->child.pidfd, .events = POLLIN },
			{ .fd = task->child.out, .events = POLLIN }
		};

		(void)poll(fds, ARRAY_SIZE(fds), clock_left(task->deadline));
		(void)tasks_step(t);
	}
}

void
tasks_release(struct tasks *t)
{
	int64_t deadline = clock_mono() + STOP_GRACE;
	size_t i;

	for (i = 0; i < t->n; i++)
		proc_kill(&t->v[i]->child, SIGTERM);
	for (i = 0; i < t->n; i++) {
		struct task *task = t->v[i];
		struct err err = ERR_INIT;
		struct proc_status status;

		if (task->child.pid && (proc_wait(&task->child, deadline,
						&status, &err) ||
					       status.timed_out) &&
			task->child.pid) {
			proc_kill(&task->child, SIGKILL);
			if (proc_wait(&task->child, -1, &status, &err))
				log_error("step", "program", task->name,
					"error", err.msg, NULL);
		}
		task_free(task);
	}
	free(t->v);
	*t = TASKS_INIT;
}
