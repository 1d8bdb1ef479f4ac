/*
 * watch: the supervisor.  It decides, and then runs the programs that a
 * person would run:
 *	forge-vm fsck, forge-runner sync	at the start and every 30 s
 *	forge-webhook ingest			when the spool has much; the few
 *						it takes itself
 *	forge-runner run --pool POOL		for each runner that is missing
 * Between passes it sleeps until an event is written, a body is spooled, a
 * back-off ends, the next sweep is due, or a signal comes.  It owns nothing
 * but the lock run/watch: runners and VMs outlive it.
 */
#ifndef FORGE_RUNNER_WATCH_H
#define FORGE_RUNNER_WATCH_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

/*
 * With once: one sweep and one pass, then return.  Otherwise until SIGTERM
 * or SIGINT; SIGHUP reads the configuration again.  ERR_BUSY when another
 * one runs on this state.
 */
int watch_run(bool once, struct err *err)
	__attribute__((warn_unused_result));

/* {"running","jobs":{...},"runners":{...},"last_event"}; the caller frees
 * it. */
int watch_status(struct state *st, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
