#include "lib/runner/watch_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/sd.h"
#include "lib/base/signals.h"
#include "lib/runner/delivery.h"
#include "lib/runner/fleet.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define TURN 100 /* ms to wait for the database before another does */

/* ---- the steps ---- */

static bool
spool_filled(struct watch *w)
{
	int fd = openat(state_dir(w->st), WATCH_SPOOL,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	bool found = false;
	DIR *d;

	if (fd < 0)
		return false;
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd); /* read only */
		return false;
	}
	while (!found && (e = readdir(d)))
		found = e->d_name[0] != '.';
	(void)closedir(d); /* read only */
	return found;
}

static void
tell_status(const struct fleet *f)
{
	int runners = 0;
	size_t i;

	for (i = 0; i < f->pools.n; i++)
		runners += f->supply[i].starting + f->supply[i].idle +
			f->supply[i].busy + f->supply[i].ending;
	sd_notify("STATUS=%d jobs queued, %d runners", f->queued, runners);
}

static int
pass(struct watch *w, struct err *err)
{
	CLEANUP_FLEET struct fleet f = FLEET_INIT;
	int n;

	if (fleet_load(w->st, &f, err))
		return -1;
	n = fleet_act(w->st, &f, err);
	if (n < 0)
		return -1;
	w->retry_at = f.retry_at;
	if (f.surplus)
		task_ask(w->tasks.trim);
	tell_status(&f);
	if (f.unserved)
		log_debug("jobs.unserved", NULL);
	return 0;
}

/* ---- waiting ---- */

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int
wait_ms(const struct watch *w)
{
	int64_t at = sooner(tasks_next(&w->tasks.all), w->watchdog_at);

	if (w->retry_at) {
		int64_t left = w->retry_at - clock_wall();

		at = sooner(at, clock_mono() + (left < 0 ? 0 : left));
	}
	return clock_left(at);
}

static void
feed_watchdog(struct watch *w)
{
	if (w->watchdog_at < 0 || clock_left(w->watchdog_at))
		return;
	sd_notify("WATCHDOG=1");
	w->watchdog_at = clock_mono() + sd_watchdog();
}

/* A program of ours answers, so a slow reader delays nobody. */
static void
serve_metrics(struct watch *w)
{
	int fd = accept4(w->metrics, NULL, NULL, SOCK_CLOEXEC);
	struct task *task;

	if (fd < 0)
		return; /* the client went away */
	task = task_serve(&w->tasks.all, "forge-watch", "metrics", fd);
	if (task)
		argv_push(&task->args, "--inetd");
	else
		log_warning("metrics.busy", NULL);
}

static void
read_signals(struct watch *w)
{
	int sig;

	while ((sig = signals_next(w->signals)))
		if (sig == SIGHUP)
			w->reload = true;
		else
			w->stop = true;
}

static void
drain(int fd)
{
	char chunk[4096];

	while (read(fd, chunk, sizeof(chunk)) > 0)
		;
}

/* Is there an event since the last look?  Our own wake-ups are many. */
static bool
news(struct watch *w)
{
	struct err err = ERR_INIT;
	int64_t last;

	if (event_last(w->db, &last, &err)) {
		log_error("watch.events", "error", err.msg, NULL);
		return true;
	}
	if (last == w->seen)
		return false;
	w->seen = last;
	return true;
}

/*
 * A program started for each webhook would double the time until its boot:
 * the few that arrive one by one are taken here, the many by the program.
 */
static void
take_spool(struct watch *w)
{
	struct err err = ERR_INIT;
	bool rest = true;

	drain(w->spool);
	db_set_timeout(w->db, TURN);
	if (!task_pending(w->tasks.ingest) &&
		delivery_ingest_few(w->st, &rest, &err))
		log_info("watch.ingest", "error", err.msg, NULL);
	db_set_timeout(w->db, DB_TIMEOUT);
	if (rest)
		task_ask(w->tasks.ingest);
}

enum { FD_SIGNALS, FD_EVENTS, FD_SPOOL, FD_METRICS, FD_TASKS };

/* What woke us: true when a pass is due. */
static bool
wake(struct watch *w, const struct pollfd *fds)
{
	bool due = false;

	if (fds[FD_SIGNALS].revents)
		read_signals(w);
	if (fds[FD_SPOOL].revents)
		take_spool(w);
	if (fds[FD_EVENTS].revents || fds[FD_SPOOL].revents) {
		event_watch_clear(w->events);
		due |= news(w);
	}
	if (fds[FD_METRICS].revents)
		serve_metrics(w);
	if (w->retry_at && clock_wall() >= w->retry_at)
		due = true;
	return due;
}

/* Sleep until a pass is due. */
static int
await(struct watch *w, struct err *err)
{
	bool due = false;

	while (!due && !w->stop && !w->reload) {
		size_t n = FD_TASKS + 2 * w->tasks.all.n;
		struct pollfd *fds = xcalloc(n, sizeof(*fds));
		int rc;

		fds[FD_SIGNALS].fd = w->signals;
		fds[FD_EVENTS].fd = w->events;
		fds[FD_SPOOL].fd = w->spool;
		fds[FD_METRICS].fd = w->metrics;
		for (n = 0; n < FD_TASKS; n++)
			fds[n].events = POLLIN;
		n += tasks_fds(&w->tasks.all, fds + n);
		rc = poll(fds, n, wait_ms(w));
		if (rc < 0 && errno != EINTR) {
			free(fds);
			return err_sys(err, "poll");
		}
		due = rc >= 0 && wake(w, fds);
		free(fds);
		due |= tasks_step(&w->tasks.all);
		tasks_start(&w->tasks.all, state_path(w->st));
		feed_watchdog(w);
	}
	return 0;
}

/* ---- beginning and end ---- */

/*
 * A pass that fails for a passing reason (database busy, a mistake in the
 * configuration that somebody is mending) must not end the supervisor.
 */
static int
loop(struct watch *w, struct err *err)
{
	tasks_start(&w->tasks.all, state_path(w->st));
	while (!w->stop) {
		struct err one = ERR_INIT;

		if (spool_filled(w) && !task_pending(w->tasks.ingest))
			task_ask(w->tasks.ingest);
		if (pass(w, &one)) {
			log_error("watch.pass", "error", one.msg, NULL);
			w->retry_at = clock_wall() + 1000;
		}
		if (await(w, err))
			return -1;
		if (w->reload)
			watch_reload(w);
	}
	sd_notify("STOPPING=1");
	return 0;
}

static int
run_once(struct watch *w, struct err *err)
{
	const char *state = state_path(w->st);

	task_run(&w->tasks.all, w->tasks.fsck, state);
	task_run(&w->tasks.all, w->tasks.restart, state);
	task_run(&w->tasks.all, w->tasks.warm, state);
	task_run(&w->tasks.all, w->tasks.sync, state);
	if (spool_filled(w))
		task_run(&w->tasks.all, w->tasks.ingest, state);
	return pass(w, err);
}

static int
run(struct watch *w, bool once, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	CLEANUP_CLOSE int lock = -1;

	if (watch_open(w, err))
		return -1;
	if (state_lock(w->st, "watch", NULL, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		return err_set(err, ERR_BUSY,
			"another forge-watch runs on '%s'", state_path(w->st));
	}
	watch_tasks_add(&w->tasks);
	if (once)
		return run_once(w, err);
	if (signals_open(signals, &w->signals, err) ||
		watch_listen(w, err) ||
		watch_tasks_configure(&w->tasks, w->st, err))
		return -1;
	if (sd_watchdog() >= 0)
		w->watchdog_at = clock_mono();
	log_info("watch.started", "state", state_path(w->st), NULL);
	sd_notify("READY=1");
	return loop(w, err);
}

int
watch_run(bool once, struct err *err)
{
	struct watch w = { .signals = -1, .events = -1, .spool = -1,
		.metrics = -1, .agents = -1, .watchdog_at = -1 };
	int rc = run(&w, once, err);

	tasks_release(&w.tasks.all);
	if (w.st)
		watch_close(&w);
	cleanup_close(&w.signals);
	cleanup_close(&w.metrics);
	cleanup_close(&w.agents);
	free(w.agents_where);
	return rc;
}

int
watch_status(struct state *st, struct json **ret, struct err *err)
{
	static const char sql[] =
		"SELECT json_object("
		"'jobs', (SELECT json_group_object(state, n) FROM (SELECT "
		"state, count(*) AS n FROM job WHERE state <> 'completed' "
		"GROUP BY state)), "
		"'runners', (SELECT json_group_object(state, n) FROM (SELECT "
		"state, count(*) AS n FROM runner WHERE state <> 'done' "
		"GROUP BY state)), "
		"'last_event', (SELECT coalesce(max(seq), 0) FROM event))";
	CLEANUP_FREE char *text = NULL;
	struct json *o;
	struct db *db;
	int held;

	if (state_db(st, &db, err))
		return -1;
	held = state_locked(st, "watch", NULL, err);
	if (held < 0 || db_get_text(db, &text, sql, err, DB_LAST) ||
		json_parse(text, strlen(text), &o, err))
		return -1;
	json_put_bool(o, "running", held);
	*ret = o;
	return 0;
}
