/*
 * watch_tasks: which programs the supervisor runs beside its loop; for
 * watch.c.
 */
#ifndef FORGE_RUNNER_WATCH_TASKS_H
#define FORGE_RUNNER_WATCH_TASKS_H

#include "lib/base/err.h"
#include "lib/runner/task.h"

struct state;

struct watch_tasks {
	struct tasks all;
	/* In all: */
	struct task *fsck, *restart, *warm, *sync, *poll, *redeliver, *ingest,
		*trim, *limited;
};

/* All that need no configuration. */
void watch_tasks_add(struct watch_tasks *w);
/*
 * What the configuration says: how often GitHub is asked; one program kept
 * for each [notify] and each pool with a scale-set.  Again after a reload:
 * then the kept ones are started anew, for they have read the old one.
 */
int watch_tasks_configure(struct watch_tasks *t, struct state *st,
	struct err *err) __attribute__((warn_unused_result));

#endif
