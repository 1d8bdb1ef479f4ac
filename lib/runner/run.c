#include "lib/runner/run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/signals.h"
#include "lib/runner/github.h"
#include "lib/runner/scaleset.h"
#include "lib/runner/sync.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define RETRY 60000 /* ms until an unanswered question is asked again */

void
run_stop(struct run *r, const char *reason)
{
	struct err err = ERR_INIT;

	if (r->reason)
		return;
	r->reason = reason;
	if (runner_ending(r->db, r->name, reason, &err) &&
		err.code != ERR_BUSY) /* somebody told us by the row */
		log_warning("runner.ending", "name", r->name, "error", err.msg,
			NULL);
	if (r->phase != RUN_LISTENING) { /* its listener may still tell */
		r->phase = RUN_LEAVING;
		place_tell(r, NULL);
	}
	place_signal(r, SIGTERM);
	r->deadline = clock_mono() + STOP_GRACE;
	r->idle_deadline = r->online_deadline = -1;
}

static void
fail(struct run *r)
{
	run_stop(r, r->err.msg);
}

/* ---- registration ---- */

/*
 * A name is minted once: a conflict means that an earlier attempt of ours
 * reached GitHub although its answer did not reach us.
 */
static int
mint(struct run *r, char **ret_jit, struct err *err)
{
	CLEANUP_JSON struct json *labels = NULL;
	struct github_runner old;
	int64_t group = 0;

	if (r->pool->scale_set)
		return scaleset_jit(r->st, r->gh, r->pool, r->name,
			&r->github_id, ret_jit, err);
	if (json_parse(r->labels, strlen(r->labels), &labels, err))
		return -1;
	if (r->pool->group &&
		github_group(r->gh, r->pool->scope, r->pool->group, &group,
			err))
		return -1;
	if (!github_jit(r->gh, r->pool->scope, r->name, group, labels,
		    &r->github_id, ret_jit, err))
		return 0;
	if (err->code != ERR_EXISTS)
		return -1;
	*err = ERR_INIT;
	if (github_runner_find(r->gh, r->pool->scope, r->name, &old, err))
		return -1;
	/* Ours was never handed over.  What is not ours is not removed. */
	if ((old.online || old.busy) && !runner_removed(r->db, r->name, err))
		return err_set(err, ERR_EXISTS,
			"'%s' at '%s' is another one that is alive", r->name,
			r->pool->scope);
	if (err->code ||
		github_runner_remove(r->gh, r->pool->scope, old.id, err))
		return -1;
	return github_jit(r->gh, r->pool->scope, r->name, group, labels,
		&r->github_id, ret_jit, err);
}

static int
hand_over(struct run *r, const char *jit, struct err *err)
{
	CLEANUP_FREE char *line = xasprintf("%s\n", jit);
	int rc = write_all(r->place.in, line, strlen(line));

	if (rc)
		(void)err_sys(err, "cannot hand the configuration to the "
			"place");
	explicit_bzero(line, strlen(line));
	return rc;
}

/* The place is up, and the configuration is there already. */
static int
take_over(struct run *r, struct err *err)
{
	if (runner_booted(r->db, r->name, err) ||
		runner_handed(r->db, r->name, err) ||
		hand_over(r, r->jit, err))
		return -1;
	r->deadline = clock_mono() + r->pool->job_timeout;
	r->phase = RUN_LISTENING;
	return 0;
}

/* The place is up: steps 3 to 5. */
static int
register_runner(struct run *r, struct err *err)
{
	char *jit = NULL;
	int rc;

	if (runner_booted(r->db, r->name, err) ||
		runner_registering(r->db, r->name, err) ||
		mint(r, &jit, err))
		return -1;
	rc = runner_registered(r->db, r->name, r->github_id, err) ||
			hand_over(r, jit, err) ?
		-1 :
		0;
	explicit_bzero(jit, strlen(jit));
	free(jit);
	if (rc)
		return -1;
	log_info("runner.registered", "name", r->name, NULL);
	r->deadline = clock_mono() + r->pool->job_timeout;
	r->idle_deadline = r->pool->idle_timeout ?
		clock_mono() + r->pool->idle_timeout :
		-1;
	r->online_deadline = clock_mono() + r->pool->register_timeout;
	r->phase = RUN_LISTENING;
	return 0;
}

/* Somebody does not want it any more, and the place came up after all. */
static bool
row_says_end(const struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;

	return !runner_get(r->db, r->name, &row, &err) &&
		!strcmp(row.state, "ending");
}

void
run_up(struct run *r)
{
	if (!(r->jit ? take_over(r, &r->err) : register_runner(r, &r->err)))
		return;
	if (row_says_end(r)) {
		r->err = ERR_INIT;
		r->told = true;
		run_stop(r, "stopped");
	} else {
		fail(r);
	}
}

/* ---- deadlines ---- */

/*
 * Nobody took it for a job: DELETE is the test, for GitHub refuses to remove
 * a runner that has one.
 */
static void
idle_over(struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;

	r->idle_deadline = clock_mono() + RETRY;
	if (runner_get(r->db, r->name, &row, &err))
		return; /* not known now: ask again */
	if (strcmp(row.state, "idle") != 0) {
		r->idle_deadline = -1;
		return;
	}
	if (!github_runner_remove(r->gh, r->pool->scope, r->github_id, &err)) {
		if (runner_removed(r->db, r->name, &err))
			log_warning("runner.removed", "name", r->name, "error",
				err.msg, NULL);
		r->unused = true;
		run_stop(r, "no job came within the idle timeout");
	} else if (err.code == ERR_BUSY) {
		r->idle_deadline = -1;
	}
}

/* The job's time counts from the moment GitHub said that it began. */
static void
job_over(struct run *r)
{
	static const char sql[] =
		"SELECT coalesce(busy_at, 0) FROM runner WHERE name = ?1";
	struct err err = ERR_INIT;
	int64_t busy_at, left;

	if (db_get_int(r->db, &busy_at, sql, &err, DB_S(r->name)))
		busy_at = 1; /* not known: keep to the limit */
	left = busy_at ? busy_at + r->pool->job_timeout - clock_wall() :
			 r->pool->job_timeout;
	if (busy_at > 1 && left > 0) {
		r->deadline = clock_mono() + left;
		return;
	}
	if (!busy_at && !r->pool->idle_timeout) {
		r->deadline = clock_mono() + left;
		return;
	}
	r->timed_out = true;
	run_stop(r, "the job ran into the job timeout");
}

/*
 * A listener that never came online would keep its slot until the idle
 * timeout.  Asked once; a runner that got a job meanwhile needs no asking.
 */
static void
online_over(struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct github_runner at;
	struct err err = ERR_INIT;

	r->online_deadline = -1;
	if (!runner_get(r->db, r->name, &row, &err) &&
		strcmp(row.state, "idle") != 0)
		return;
	if (!github_runner_get(r->gh, r->pool->scope, r->github_id, &at,
		    &err)) {
		if (at.online || at.busy)
			return;
		r->timed_out = true;
		run_stop(r, "the listener was not online within the register "
			"timeout");
	} else if (err.code != ERR_NOTFOUND) {
		r->online_deadline = clock_mono() + RETRY;
	}
}

static void
deadline_over(struct run *r)
{
	switch (r->phase) {
	case RUN_BOOTING:
		r->timed_out = true;
		run_stop(r, "the place was not up within the boot timeout");
		return;
	case RUN_LISTENING:
		if (!r->reason) {
			job_over(r);
			return;
		}
		break;
	case RUN_ENDED:
		run_archived(r);
		return;
	case RUN_HELD:
		run_held_over(r);
		return;
	case RUN_LEAVING:
		break;
	}
	place_signal(r, SIGKILL);
	r->deadline = clock_mono() + STOP_GRACE;
}

static void
check_deadlines(struct run *r)
{
	int64_t now = clock_mono();

	if (r->idle_deadline >= 0 && now >= r->idle_deadline)
		idle_over(r);
	if (r->online_deadline >= 0 && now >= r->online_deadline)
		online_over(r);
	if (now >= r->deadline)
		deadline_over(r);
}

/* ---- the loop ---- */

/* GitHub goes first: an idle runner gets no job while it ends. */
static void
told_to_end(struct run *r, const char *reason)
{
	struct err err = ERR_INIT;

	r->told = true;
	if (r->phase == RUN_LISTENING && r->github_id &&
		!github_runner_remove(r->gh, r->pool->scope, r->github_id,
			&err)) {
		r->unused = true;
		if (runner_removed(r->db, r->name, &err) &&
			err.code != ERR_BUSY) /* another has noted it */
			log_warning("runner.removed", "name", r->name, "error",
				err.msg, NULL);
	}
	run_stop(r, reason);
}

static void
read_signals(struct run *r)
{
	int sig;

	while ((sig = signals_next(r->signals)))
		if (r->reason)
			place_signal(r, SIGKILL);
		else
			told_to_end(r,
				sig == SIGINT ? "interrupted" : "stopped");
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return b >= 0 && b < a ? b : a;
}

static int64_t
next_deadline(const struct run *r)
{
	return sooner(sooner(r->deadline, r->idle_deadline),
		r->online_deadline);
}

static int
step(struct run *r, struct err *err)
{
	struct pollfd fds[] = { { .fd = r->signals, .events = POLLIN },
		{ .fd = r->output, .events = POLLIN },
		{ .fd = r->place.pidfd, .events = POLLIN } };

	if (poll(fds, ARRAY_SIZE(fds), clock_left(next_deadline(r))) < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (fds[0].revents)
		read_signals(r);
	if (fds[1].revents)
		place_read(r);
	else if (fds[2].revents) {
		/* Only when nothing more is to be read just now. */
		r->ended = true;
		return proc_wait(&r->place, -1, &r->status, err);
	}
	check_deadlines(r);
	return 0;
}

/* ---- the beginning ---- */

static int
log_open(struct run *r, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("runner/%s", r->name);
	CLEANUP_FREE char *file = xasprintf("%s/log", dir);

	if (fs_mkdirs(state_dir(r->st), dir, 0700, err))
		return -1;
	r->log = openat(state_dir(r->st), file,
		O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return r->log < 0 ? err_sys(err, "cannot open '%s'", file) : 0;
}

/* What another began: its listener has its configuration. */
static int
take_up(struct run *r, struct err *err)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	int64_t since;

	if (runner_get(r->db, r->name, &row, err) ||
		runner_adopted(r->db, r->name, &since, err))
		return -1;
	r->adopted = true;
	r->github_id = row.github_id;
	since -= clock_wall();
	r->idle_deadline = r->pool->idle_timeout ?
		clock_mono() + since + r->pool->idle_timeout :
		-1;
	r->online_deadline = clock_mono() + r->pool->register_timeout;
	r->phase = RUN_LISTENING;
	return 0;
}

static int
begin(struct run *r, const struct runner_run *run, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };

	if (state_db(r->st, &r->db, err) ||
		(!run->jit && github_open_later(r->st, r->pool->github,
				      &r->gh, err)))
		return -1;
	if (run->name) {
		r->name = xstrdup(run->name);
	} else {
		CLEANUP_FREE char *random = random_name(8);

		r->name = xasprintf("%s-%s", r->pool->prefix, random);
	}
	if (state_lock(r->st, "runner", r->name, 0, 0, &r->lock, err) ||
		signals_open(signals, &r->signals, err))
		return -1;
	return run->adopt ? take_up(r, err) :
			    runner_create(r->db, r->name, r->pool, r->labels,
				    run->on_demand, err);
}

/* After the row is there, every way out writes what became of it. */
static int
live(struct run *r, const struct runner_run *run, int *ret_status,
	struct err *err)
{
	CLEANUP_FREE char *hello = xasprintf("%s\n", r->name);
	/* Before its name is told: whoever hears it may ask for the log. */
	int rc = log_open(r, &r->err);

	if (run->notify_fd >= 0 &&
		write_all(run->notify_fd, hello, strlen(hello)))
		log_debug("runner.notify", "name", r->name, NULL);
	if (run->notify_fd >= 0)
		(void)close(run->notify_fd); /* a pipe */
	/* Of an adopted one's job it is counted again when it is over. */
	r->deadline = clock_mono() + (r->adopted ? r->pool->job_timeout :
						   r->pool->boot_timeout);
	r->status = (struct proc_status){ .value = EXIT_PLACE };
	if (rc || place_start(r, &r->err)) {
		r->reason = r->err.msg;
		return run_finish(r, ret_status, err);
	}
	/* While the place comes up. */
	if (r->gh && github_ready(r->gh, &r->err))
		fail(r);
	/* Who waited for the notice reads our stderr no more. */
	if (run->notify_fd >= 0 && dup2(r->log, STDERR_FILENO) < 0)
		log_debug("runner.stderr", "name", r->name, NULL);
	while (!r->ended)
		if (step(r, &r->err)) {
			fail(r);
			if (proc_stop(&r->place, STOP_GRACE, &r->status, err))
				log_error("runner.stop", "name", r->name,
					"error", err->msg, NULL);
			break;
		}
	return run_finish(r, ret_status, err);
}

static void
release(struct run *r)
{
	child_close(&r->place);
	cleanup_close(&r->output);
	cleanup_close(&r->signals);
	cleanup_close(&r->log);
	github_close(r->gh);
	buf_release(&r->line);
	buf_release(&r->diag);
	free(r->mark);
	free(r->why);
	cleanup_close(&r->lock);
	free(r->name);
}

int
runner_run(struct state *st, const struct runner_run *run, int *ret_status,
	struct err *err)
{
	struct run r = { .st = st, .pool = run->pool, .jit = run->jit,
		.labels = run->labels, .lock = -1, .log = -1,
		.output_fd = run->output_fd,
		.signals = -1, .output = -1, .place = CHILD_INIT,
		.line = BUF_INIT, .diag = BUF_INIT, .idle_deadline = -1,
		.online_deadline = -1, .listener = -1, .err = ERR_INIT };
	int rc = begin(&r, run, err);

	if (!rc)
		rc = live(&r, run, ret_status, err);
	release(&r);
	return rc;
}
