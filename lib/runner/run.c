#include "lib/runner/run.h"

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
#include "lib/runner/place.h"
#include "lib/runner/sync.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LOG_MAX (16u << 20) /* a job that floods fills no disk */
#define STOP_GRACE 30000 /* ms from TERM to KILL of the place */
#define RETRY 60000 /* ms until an unanswered question is asked again */

struct run {
	struct state *st;
	struct db *db;
	const struct pool *pool;
	const char *labels;
	char *name;
	struct github *gh;
	int lock;
	int log;
	size_t logged;
	int output_fd;
	int signals;
	int output; /* read end of what the place prints */
	struct child place;
	char *mark; /* printed by the place when it is up; NULL: seen */
	struct buf line; /* output so far of the line that may be the mark */
	int64_t github_id;
	int64_t deadline; /* monotonic; what for depends on the state */
	int64_t idle_deadline; /* monotonic, -1 none */
	const char *reason; /* why we end it; NULL: it ends itself */
	bool timed_out;
	bool told; /* to end, by somebody */
	bool unused; /* GitHub let us remove it: it had no job */
	bool ended;
	struct proc_status status;
	struct err err; /* what went wrong, if anything */
};

/* ---- the place ---- */

/*
 * What the place executes: say that it is up, take the secret, become the
 * listener.  $0 is the mark.
 */
static const char script[] =
	"echo \"$0\"; IFS= read -r ACTIONS_RUNNER_INPUT_JITCONFIG || exit 125; "
	"ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED=1; "
	"export ACTIONS_RUNNER_INPUT_JITCONFIG "
	"ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED; exec \"$@\" </dev/null";

static int
place_start(struct run *r, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int wfd = -1;
	struct place place = { .place = r->pool->place, .name = r->name,
		.cpus = r->pool->cpus, .memory = r->pool->memory };
	CLEANUP_FREE char *random = random_name(24);
	int fds[2];

	r->mark = xasprintf("forge-place-ready-%s", random);
	if (place_prefix(r->st, &place, &p.argv, err))
		return -1;
	argv_pushv(&p.argv, (const char *[]){ "sh", "-c", script, r->mark,
				    NULL });
	argv_split(&p.argv, r->pool->command);
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	r->output = fds[0];
	wfd = fds[1];
	p.in = PROC_PIPE;
	p.out = wfd;
	p.err = wfd;
	p.new_group = true;
	p.parent_death = SIGTERM;
	return proc_spawn(&p, &r->place, err);
}

static void
place_signal(struct run *r, int sig)
{
	if (r->place.pid)
		proc_kill(&r->place, sig);
}

/* Begin to end it; the loop goes on until the place is gone. */
static void
stop(struct run *r, const char *reason)
{
	struct err err = ERR_INIT;

	if (r->reason)
		return;
	r->reason = reason;
	if (runner_ending(r->db, r->name, reason, &err) &&
		err.code != ERR_BUSY) /* somebody told us by the row */
		log_warning("runner.ending", "name", r->name, "error", err.msg,
			NULL);
	place_signal(r, SIGTERM);
	r->deadline = clock_mono() + STOP_GRACE;
	r->idle_deadline = -1;
}

static void
fail(struct run *r)
{
	stop(r, r->err.msg);
}

/* ---- output ---- */

static void
log_bytes(struct run *r, const char *p, size_t n)
{
	static const char cut[] = "\n[log cut here: it is full]\n";

	if (r->output_fd >= 0 && write_all(r->output_fd, p, n)) {
		/* Our reader went away: the job goes on without it. */
		r->output_fd = -1;
	}
	if (r->logged >= LOG_MAX)
		return;
	if (n > LOG_MAX - r->logged)
		n = LOG_MAX - r->logged;
	r->logged += n;
	if (write_all(r->log, p, n) ||
		(r->logged == LOG_MAX &&
			write_all(r->log, cut, strlen(cut)))) {
		log_warning("runner.log", "name", r->name, "error",
			strerrordesc_np(errno), NULL);
		r->logged = LOG_MAX;
	}
}

/*
 * Until the mark is seen, look at whole lines; what the place itself has to
 * say before ("srun: job 7 queued") is output like any other.
 */
static bool
find_mark(struct run *r, const char *p, size_t n)
{
	char *newline;

	buf_add(&r->line, p, n);
	while ((newline = memchr(r->line.s, '\n', r->line.len))) {
		size_t len = (size_t)(newline - r->line.s) + 1;
		size_t text = len - 1;

		if (text && r->line.s[text - 1] == '\r')
			text--;
		if (text == strlen(r->mark) &&
			!memcmp(r->line.s, r->mark, text)) {
			buf_consume(&r->line, len);
			free(steal_ptr(&r->mark));
			log_bytes(r, r->line.s, r->line.len);
			buf_release(&r->line);
			return true;
		}
		log_bytes(r, r->line.s, len);
		buf_consume(&r->line, len);
	}
	if (r->line.len > 65536) {
		log_bytes(r, r->line.s, r->line.len);
		buf_reset(&r->line);
	}
	return false;
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
	if (github_runner_find(r->gh, r->pool->scope, r->name, &old, err) ||
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
	(void)close(steal_fd(&r->place.in)); /* a pipe has nothing to flush */
	return rc;
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

static void
read_output(struct run *r)
{
	char chunk[16384];
	ssize_t n = read(r->output, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		(void)close(steal_fd(&r->output)); /* read only */
		return;
	}
	if (!r->mark) {
		log_bytes(r, chunk, (size_t)n);
	} else if (find_mark(r, chunk, (size_t)n) && !r->reason) {
		if (!register_runner(r, &r->err))
			return;
		if (row_says_end(r)) {
			r->err = ERR_INIT;
			r->told = true;
			stop(r, "stopped");
		} else {
			fail(r);
		}
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
		stop(r, "no job came within the idle timeout");
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
	stop(r, "the job ran into the job timeout");
}

static void
check_deadlines(struct run *r)
{
	int64_t now = clock_mono();

	if (r->idle_deadline >= 0 && now >= r->idle_deadline)
		idle_over(r);
	if (now < r->deadline)
		return;
	if (r->reason) {
		place_signal(r, SIGKILL);
		r->deadline = now + STOP_GRACE;
	} else if (r->mark) {
		r->timed_out = true;
		stop(r, "the place was not up within the boot timeout");
	} else {
		job_over(r);
	}
}

/* ---- the loop ---- */

static void
read_signals(struct run *r)
{
	int sig;

	while ((sig = signals_next(r->signals)))
		if (r->reason)
			place_signal(r, SIGKILL);
		else {
			r->told = true;
			stop(r, sig == SIGINT ? "interrupted" : "stopped");
		}
}

static int64_t
next_deadline(const struct run *r)
{
	if (r->idle_deadline >= 0 && r->idle_deadline < r->deadline)
		return r->idle_deadline;
	return r->deadline;
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
		read_output(r);
	else if (fds[2].revents) {
		/* Only when nothing more is to be read just now. */
		r->ended = true;
		return proc_wait(&r->place, -1, &r->status, err);
	}
	check_deadlines(r);
	return 0;
}

/* ---- the end ---- */

enum runner_result
runner_result_of(int status)
{
	static const enum runner_result task[] = {
		RUNNER_SUCCEEDED, /* 100 */
		RUNNER_SUCCEEDED, /* 101: with issues */
		RUNNER_FAILED,
		RUNNER_CANCELLED,
		RUNNER_SKIPPED,
		RUNNER_ABANDONED,
	};

	if (status >= 100 && status < 100 + (int)ARRAY_SIZE(task))
		return task[status - 100];
	return status == 0 ? RUNNER_UNUSED : RUNNER_ERROR;
}

static void
deregister(struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;

	if (runner_get(r->db, r->name, &row, &err) || !row.registered)
		return;
	if (r->github_id ? !github_runner_remove(r->gh, r->pool->scope,
				   r->github_id, &err) :
			   !runner_unregister(r->gh, &row, &err)) {
		if (!runner_removed(r->db, r->name, &err) ||
			err.code == ERR_BUSY) /* another has noted it */
			return;
	}
	log_warning("runner.still-registered", "name", r->name, "error",
		err.msg, "hint", "forge-runner sync tries again", NULL);
}

/* It was removed at GitHub, so it had no job. */
static bool
taken_away(const struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;

	return !runner_get(r->db, r->name, &row, &err) && row.asked &&
		!row.job;
}

static enum runner_result
judge(struct run *r, char **ret_reason)
{
	int status = proc_exit_status(&r->status);
	enum runner_result result = runner_result_of(status);

	*ret_reason = NULL;
	if (result != RUNNER_ERROR && !r->timed_out && !r->err.code &&
		!r->unused)
		return result;
	if (!r->reason && taken_away(r)) {
		*ret_reason = xstrdup("removed");
		return RUNNER_UNUSED;
	}
	if (r->reason) {
		*ret_reason = xstrdup(r->reason);
		if (r->unused || (r->told && r->mark) || taken_away(r))
			return RUNNER_UNUSED;
		if (r->err.code || r->mark || r->timed_out)
			return RUNNER_ERROR;
		return RUNNER_CANCELLED;
	}
	*ret_reason = xasprintf(r->mark ? "the place ended with status %d "
					  "before it was up" :
					  "the listener ended with status %d",
		status);
	return RUNNER_ERROR;
}

static int
exit_status(const struct run *r, enum runner_result result)
{
	if (r->err.code)
		return err_status(r->err.code);
	if (r->timed_out)
		return EXIT_TIMEOUT;
	switch (result) {
	case RUNNER_SUCCEEDED:
	case RUNNER_SKIPPED:
	case RUNNER_UNUSED:
		return EXIT_OK;
	case RUNNER_ERROR:
		return r->mark ? EXIT_PLACE : EXIT_FAILED;
	case RUNNER_FAILED:
	case RUNNER_CANCELLED:
	case RUNNER_ABANDONED:
	case RUNNER_LOST:
	case RUNNER_RESULT__MAX:
		break;
	}
	return EXIT_FAILED;
}

static int
finish(struct run *r, int *ret_status, struct err *err)
{
	CLEANUP_FREE char *reason = NULL;
	enum runner_result result = judge(r, &reason);
	struct err ignored = ERR_INIT;

	/* A last line without an end, often why the place failed. */
	if (r->line.len && r->log >= 0)
		log_bytes(r, r->line.s, r->line.len);
	if (!r->reason && runner_ending(r->db, r->name, NULL, &ignored))
		log_warning("runner.ending", "name", r->name, "error",
			ignored.msg, NULL);
	deregister(r);
	if (runner_done(r->db, r->name, result, reason, err))
		return -1;
	*ret_status = exit_status(r, result);
	if (*ret_status && reason)
		(void)err_set(err, ERR_SYS, "runner '%s': %s", r->name,
			reason);
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

static int
begin(struct run *r, const struct runner_run *run, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };

	if (state_db(r->st, &r->db, err) ||
		github_open(r->st, r->pool->github, &r->gh, err))
		return -1;
	if (run->name) {
		r->name = xstrdup(run->name);
	} else {
		CLEANUP_FREE char *random = random_name(8);

		r->name = xasprintf("%s-%s", r->pool->prefix, random);
	}
	if (state_lock(r->st, "runner", r->name, 0, 0, &r->lock, err) ||
		signals_open(signals, &r->signals, err) ||
		runner_create(r->db, r->name, r->pool, r->labels,
			run->on_demand, err))
		return -1;
	return 0;
}

/* After the row is there, every way out writes what became of it. */
static int
live(struct run *r, const struct runner_run *run, int *ret_status,
	struct err *err)
{
	CLEANUP_FREE char *hello = xasprintf("%s\n", r->name);

	if (run->notify_fd >= 0 &&
		write_all(run->notify_fd, hello, strlen(hello)))
		log_debug("runner.notify", "name", r->name, NULL);
	if (run->notify_fd >= 0)
		(void)close(run->notify_fd); /* a pipe */
	r->deadline = clock_mono() + r->pool->boot_timeout;
	r->status = (struct proc_status){ .value = EXIT_PLACE };
	if (log_open(r, &r->err) || place_start(r, &r->err)) {
		r->reason = r->err.msg;
		return finish(r, ret_status, err);
	}
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
	return finish(r, ret_status, err);
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
	free(r->mark);
	cleanup_close(&r->lock);
	free(r->name);
}

int
runner_run(struct state *st, const struct runner_run *run, int *ret_status,
	struct err *err)
{
	struct run r = { .st = st, .pool = run->pool, .labels = run->labels,
		.lock = -1, .log = -1, .output_fd = run->output_fd,
		.signals = -1, .output = -1, .place = CHILD_INIT,
		.line = BUF_INIT, .idle_deadline = -1, .err = ERR_INIT };
	int rc = begin(&r, run, err);

	if (!rc)
		rc = live(&r, run, ret_status, err);
	release(&r);
	return rc;
}
