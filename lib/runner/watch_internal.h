/*
 * watch_internal: what watch.c (the loop) and watch_open.c (state and sockets,
 * at the start and after SIGHUP) share.
 */
#ifndef FORGE_RUNNER_WATCH_INTERNAL_H
#define FORGE_RUNNER_WATCH_INTERNAL_H

#include "lib/runner/watch.h"
#include "lib/runner/watch_tasks.h"

#define WATCH_SPOOL "spool/new"

struct watch {
	struct state *st;
	struct db *db;
	int signals;
	int events;
	int spool;
	int metrics; /* a listening socket, or -1 */
	bool metrics_given; /* by systemd: not from the configuration */
	int agents; /* likewise; forge-stream accepts */
	char *agents_where; /* as configured; NULL: by systemd, or not */
	struct task *stream; /* in tasks, or NULL */
	struct watch_tasks tasks;
	int64_t retry_at; /* wall ms, 0 none */
	int64_t watchdog_at; /* monotonic ms, -1 none */
	int64_t seen; /* the last event that was looked at */
	bool stop;
	bool reload;
};

/*
 * The state with its alarms; again after SIGHUP, so that the configuration is
 * read anew.  What it left open when it failed is watch_close()'s.
 */
int watch_open(struct watch *w, struct err *err)
	__attribute__((warn_unused_result));
void watch_close(struct watch *w);
/* Where the configuration says, or systemd; again after SIGHUP. */
int watch_listen(struct watch *w, struct err *err)
	__attribute__((warn_unused_result));
/* A configuration that cannot be read does not end us: the old one stays. */
void watch_reload(struct watch *w);

#endif
