#include "lib/runner/watch_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/sd.h"
#include "lib/net/listen.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* ---- the state ---- */

static int
spool_open(struct watch *w, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/" WATCH_SPOOL, state_path(w->st));

	if (fs_mkdirs(state_dir(w->st), WATCH_SPOOL, 0700, err))
		return -1;
	w->spool = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->spool < 0 || inotify_add_watch(w->spool, path,
				IN_MOVED_TO | IN_CREATE) < 0)
		return err_sys(err, "cannot watch '%s'", path);
	return 0;
}

void
watch_close(struct watch *w)
{
	cleanup_close(&w->events);
	cleanup_close(&w->spool);
	w->events = w->spool = -1;
	state_close(w->st);
	w->st = NULL;
}

int
watch_open(struct watch *w, struct err *err)
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

/* ---- listening ---- */

/* Where to listen may have changed; what systemd gave us stays. */
static int
listen_metrics(struct watch *w, struct err *err)
{
	struct config *c;
	const char *where;

	if (w->metrics_given)
		return 0;
	cleanup_close(&w->metrics);
	w->metrics = sd_socket("metrics");
	w->metrics_given = w->metrics >= 0;
	if (w->metrics_given)
		return fd_nonblock(w->metrics, true) ?
			err_sys(err, "the socket that systemd passed") : 0;
	if (state_config(w->st, &c, err))
		return -1;
	where = config_str(c, "watch", NULL, "metrics", NULL);
	return where ? listen_open(where, &w->metrics, err) : 0;
}

/* The socket is ours, so that nobody is refused while the program that holds
 * the agents' streams is started anew. */
static int
open_agents(struct watch *w, const char *where, struct err *err)
{
	if (w->stream)
		task_drop(w->stream);
	w->stream = NULL;
	cleanup_close(&w->agents);
	free(w->agents_where);
	w->agents_where = xstrdup_null(where);
	w->agents = sd_socket("agents");
	if (w->agents < 0 && where && listen_open(where, &w->agents, err))
		return -1;
	if (w->agents < 0)
		return 0;
	w->stream = task_add(&w->tasks.all, TASK_KEPT, "forge-stream",
		"serve");
	w->stream->helper = true;
	w->stream->pass = w->agents;
	argv_pushf(&w->stream->args, "--listen-fd=%d", w->agents);
	return 0;
}

static int
listen_agents(struct watch *w, struct err *err)
{
	struct config *c;
	const char *where;

	if (w->stream && !w->agents_where)
		return 0; /* what systemd gave us stays */
	if (state_config(w->st, &c, err))
		return -1;
	where = config_str(c, "agents", NULL, "listen", NULL);
	if (w->stream && where && !strcmp(where, w->agents_where))
		return 0;
	return open_agents(w, where, err);
}

int
watch_listen(struct watch *w, struct err *err)
{
	return listen_metrics(w, err) || listen_agents(w, err) ? -1 : 0;
}

/* ---- SIGHUP ---- */

static int
record_reload(struct watch *w, const struct argv *changes, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data = json_object(), *list = json_array();
	size_t i;

	for (i = 0; i < changes->n; i++)
		json_push_str(list, changes->v[i]);
	json_put(data, "changes", list);
	if (db_begin(w->db, &t, err)) {
		json_free(data);
		return -1;
	}
	if (event_add(w->db, "watch.reloaded", "watch", data, err))
		return -1;
	return db_commit(&t, err);
}

static void
tell_changes(struct watch *w, struct argv *before)
{
	CLEANUP_ARGV struct argv now = ARGV_INIT, changes = ARGV_INIT;
	struct err err = ERR_INIT;
	struct config *c;
	size_t i;

	if (state_config(w->st, &c, &err)) {
		log_error("watch.reload", "error", err.msg, NULL);
		return;
	}
	config_list(c, &now);
	config_diff(before, &now, &changes);
	for (i = 0; i < changes.n; i++)
		log_warning("config", "change", changes.v[i], NULL);
	if (record_reload(w, &changes, &err))
		log_error("watch.reload", "error", err.msg, NULL);
	log_warning("watch.reloaded", NULL);
}

void
watch_reload(struct watch *w)
{
	CLEANUP_ARGV struct argv before = ARGV_INIT;
	struct watch fresh = *w;
	struct err err = ERR_INIT;
	struct config *c;

	sd_notify("RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)clock_mono() * 1000);
	w->reload = false;
	fresh.reload = false;
	fresh.st = NULL;
	fresh.events = fresh.spool = -1;
	if (state_config(w->st, &c, &err) || watch_open(&fresh, &err)) {
		watch_close(&fresh);
		log_error("watch.reload", "error", err.msg, NULL);
		sd_notify("READY=1");
		return;
	}
	config_list(c, &before);
	watch_close(w);
	*w = fresh;
	if (watch_listen(w, &err) ||
		watch_tasks_configure(&w->tasks, w->st, &err))
		log_error("watch.reload", "error", err.msg, NULL);
	tell_changes(w, &before);
	sd_notify("READY=1");
}
