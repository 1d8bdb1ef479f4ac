#include "lib/runner/watch_tasks.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/runner/pool.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define SWEEP 30000 /* ms between sweeps */
#define ASK 300000 /* ms between questions for what no webhook told of */

void
watch_tasks_add(struct watch_tasks *w)
{
	struct tasks *t = &w->all;

	w->fsck = task_add(t, TASK_PERIODIC, "forge-vm", "fsck");
	w->sync = task_add(t, TASK_PERIODIC, "forge-runner", "sync");
	w->restart = task_add(t, TASK_PERIODIC, "forge-vm", "restart");
	w->warm = task_add(t, TASK_PERIODIC, "forge-vm", "warm");
	w->fsck->every = w->sync->every = w->restart->every = SWEEP;
	w->warm->every = SWEEP;
	w->limited = task_add(t, TASK_PERIODIC, "forge-session", "resume");
	argv_push(&w->limited->args, "--limited");
	w->limited->every = SWEEP;
	w->poll = task_add(t, TASK_PERIODIC, "forge-runner", "sync");
	argv_push(&w->poll->args, "--jobs");
	w->redeliver = task_add(t, TASK_PERIODIC, "forge-webhook",
		"redeliver");
	/* Until the configuration says how often. */
	w->poll->due = w->redeliver->due = -1;
	w->ingest = task_add(t, TASK_ASKED, "forge-webhook", "ingest");
	w->trim = task_add(t, TASK_ASKED, "forge-runner", "trim");
}

static int
schedule(struct task *task, struct config *c, const char *key,
	int64_t def, struct err *err)
{
	int64_t every;

	if (config_duration(c, "watch", NULL, key, def, &every, err))
		return -1;
	if (every == task->every)
		return 0;
	task->every = every;
	task->due = every ? clock_mono() : -1;
	return 0;
}

/* Without a secret no webhook is taken, and none can be missing. */
static bool
has_webhooks(struct config *c)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	size_t i;

	config_names(c, "github", &names);
	for (i = 0; i < names.n; i++)
		if (config_str(c, "github", names.v[i], "webhook-secret-file",
			    NULL))
			return true;
	return false;
}

/* ---- one program for each of them, since each may be slow ---- */

static const char *
last_arg(const struct task *task)
{
	return task->args.v[task->args.n - 1];
}

static bool
is_kept(const struct task *task, const char *verb)
{
	return task->kind == TASK_KEPT && !task->gone &&
		!strcmp(task->args.v[0], verb);
}

static bool
contains(const struct argv *names, const char *name)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], name))
			return true;
	return false;
}

static struct task *
kept(const struct tasks *t, const char *verb, const char *name)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (is_kept(t->v[i], verb) && !strcmp(last_arg(t->v[i]), name))
			return t->v[i];
	return NULL;
}

static void
keep(struct tasks *t, const char *program, const char *verb,
	const char *option, const struct argv *names)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (is_kept(t->v[i], verb) &&
			!contains(names, last_arg(t->v[i])))
			task_drop(t->v[i]);
	for (i = 0; i < names->n; i++) {
		struct task *task = kept(t, verb, names->v[i]);

		if (task) {
			task_again(task);
			continue;
		}
		task = task_add(t, TASK_KEPT, program, verb);
		if (option)
			argv_push(&task->args, option);
		argv_push(&task->args, names->v[i]);
	}
}

/* A mistake in a pool is told by each pass, too; it must not end us. */
static void
keep_scalesets(struct tasks *t, struct state *st)
{
	CLEANUP_POOLS struct pools pools = { 0 };
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct err err = ERR_INIT;
	size_t i;

	if (pools_load(st, &pools, &err)) {
		log_error("watch.scalesets", "error", err.msg, NULL);
		return;
	}
	for (i = 0; i < pools.n; i++)
		if (pools.v[i].scale_set)
			argv_push(&names, pools.v[i].name);
	keep(t, "forge-runner", "scaleset", NULL, &names);
}

int
watch_tasks_configure(struct watch_tasks *t, struct state *st,
	struct err *err)
{
	CLEANUP_ARGV struct argv channels = ARGV_INIT;
	struct config *c;

	if (state_config(st, &c, err) ||
		schedule(t->poll, c, "poll", ASK, err) ||
		schedule(t->redeliver, c, "redeliver",
			has_webhooks(c) ? ASK : 0, err))
		return -1;
	config_names(c, "notify", &channels);
	keep(&t->all, "forge-watch", "notify", "--follow", &channels);
	keep_scalesets(&t->all, st);
	return 0;
}
