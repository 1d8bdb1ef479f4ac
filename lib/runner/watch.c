#include "lib/runner/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/signals.h"
#include "lib/runner/fleet.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define SWEEP 30000 /* ms between sweeps */
#define STEP_TIMEOUT 300000 /* ms a program of ours may take */
#define SPOOL "spool/new"

struct watch {
	struct state *st;
	struct db *db;
	int signals;
	int events;
	int spool;
	int64_t sweep_at; /* monotonic ms */
	int64_t retry_at; /* wall ms, 0 none */
	int64_t seen; /* the last event that was looked at */
	bool stop;
	bool reload;
};

/* ---- the steps ---- */

/* Run one of our programs; what it says goes to our log. */
static void
step(struct watch *w, const char *program, const char *verb)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	CLEANUP_FREE char *path = NULL;
	struct err err = ERR_INIT;

	if (find_program(program, &path, &err))
		goto failed;
	argv_push(&p.argv, path);
	argv_push(&p.argv, verb);
	argv_pushf(&p.argv, "--state=%s", state_path(w->st));
	if (proc_run(&p, NULL, &out, 1 << 20, STEP_TIMEOUT, &err))
		goto failed;
	buf_rtrim(&out);
	if (out.len)
		log_info("step", "program", program, "verb", verb, "said",
			out.s, NULL);
	return;
failed:
	log_error("step", "program", program, "verb", verb, "error", err.msg,
		NULL);
}

static void
sweep(struct watch *w)
{
	step(w, "forge-vm", "fsck");
	step(w, "forge-runner", "sync");
	w->sweep_at = clock_mono() + SWEEP;
}

static bool
spool_filled(struct watch *w)
{
	int fd = openat(state_dir(w->st), SPOOL,
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

static int
pass(struct watch *w, struct err *err)
{
	CLEANUP_FLEET struct fleet f = FLEET_INIT;
	int n;

	if (spool_filled(w))
		step(w, "forge-webhook", "ingest");
	if (fleet_load(w->st, &f, err))
		return -1;
	n = fleet_act(w->st, &f, err);
	if (n < 0)
		return -1;
	w->retry_at = f.retry_at;
	if (f.unserved)
		log_debug("jobs.unserved", NULL);
	return 0;
}

/* ---- waiting ---- */

static int
wait_ms(const struct watch *w)
{
	int left = clock_left(w->sweep_at);

	if (w->retry_at) {
		int64_t until = w->retry_at - clock_wall();

		if (until < left)
			left = until < 0 ? 0 : (int)until;
	}
	return left;
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

/* Sleep until something is to be done. */
static int
await(struct watch *w, struct err *err)
{
	bool due = false;

	while (!due && !w->stop && !w->reload) {
		struct pollfd fds[] = { { .fd = w->signals, .events = POLLIN },
			{ .fd = w->events, .events = POLLIN },
			{ .fd = w->spool, .events = POLLIN } };
		int n = poll(fds, ARRAY_SIZE(fds), wait_ms(w));

		if (n < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (n == 0)
			due = true;
		if (n > 0 && fds[0].revents)
			read_signals(w);
		if (n > 0 && fds[1].revents) {
			event_watch_clear(w->events);
			due |= news(w);
		}
		if (n > 0 && fds[2].revents) {
			drain(w->spool);
			due = true;
		}
	}
	return 0;
}

/* ---- beginning and end ---- */

static int
spool_open(struct watch *w, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SPOOL, state_path(w->st));

	if (fs_mkdirs(state_dir(w->st), SPOOL, 0700, err))
		return -1;
	w->spool = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->spool < 0 || inotify_add_watch(w->spool, path, IN_MOVED_TO) < 0)
		return err_sys(err, "cannot watch '%s'", path);
	return 0;
}

static void
close_state(struct watch *w)
{
	cleanup_close(&w->events);
	cleanup_close(&w->spool);
	w->events = w->spool = -1;
	state_close(w->st);
	w->st = NULL;
}

/* The state with its alarms; again after SIGHUP, so that the configuration
 * is read anew. */
static int
open_state(struct watch *w, struct err *err)
{
	CLEANUP_ARGV struct argv mistakes = ARGV_INIT;
	struct config *c;
	size_t i;

	if (state_open(&w->st, err) || state_db(w->st, &w->db, err) ||
		state_config(w->st, &c, err) ||
		config_check(c, &mistakes, err))
		return -1;
	for (i = 0; i < mistakes.n; i++)
		log_warning("config", "mistake", mistakes.v[i], NULL);
	if (event_watch_open(w->st, &w->events, err) || spool_open(w, err))
		return -1;
	return event_last(w->db, &w->seen, err);
}

/* A configuration that cannot be read must not end us: the old one stays. */
static void
reload(struct watch *w)
{
	struct watch fresh = *w;
	struct err err = ERR_INIT;

	w->reload = false;
	fresh.reload = false;
	fresh.st = NULL;
	fresh.events = fresh.spool = -1;
	if (open_state(&fresh, &err)) {
		close_state(&fresh);
		log_error("watch.reload", "error", err.msg, NULL);
		return;
	}
	close_state(w);
	*w = fresh;
	log_warning("watch.reloaded", NULL);
}

/*
 * A pass that fails for a passing reason (database busy, a mistake in the
 * configuration that somebody is mending) must not end the supervisor.
 */
static int
loop(struct watch *w, struct err *err)
{
	while (!w->stop) {
		struct err one = ERR_INIT;

		if (clock_left(w->sweep_at) == 0)
			sweep(w);
		if (pass(w, &one)) {
			log_error("watch.pass", "error", one.msg, NULL);
			w->retry_at = clock_wall() + 1000;
		}
		if (await(w, err))
			return -1;
		if (w->reload)
			reload(w);
	}
	return 0;
}

static int
run(struct watch *w, bool once, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	CLEANUP_CLOSE int lock = -1;

	if (open_state(w, err))
		return -1;
	if (state_lock(w->st, "watch", NULL, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		return err_set(err, ERR_BUSY,
			"another forge-watch runs on '%s'", state_path(w->st));
	}
	if (once) {
		sweep(w);
		return pass(w, err);
	}
	if (signals_open(signals, &w->signals, err))
		return -1;
	log_info("watch.started", "state", state_path(w->st), NULL);
	return loop(w, err);
}

int
watch_run(bool once, struct err *err)
{
	struct watch w = { .signals = -1, .events = -1, .spool = -1 };
	int rc = run(&w, once, err);

	if (w.st)
		close_state(&w);
	cleanup_close(&w.signals);
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
