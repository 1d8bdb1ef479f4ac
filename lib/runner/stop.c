#include "lib/runner/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/runner/github.h"
#include "lib/runner/runner.h"
#include "lib/runner/sync.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* Remove it at GitHub: the test whether it has a job, and the promise that
 * it will get none. */
static int
take_away(struct state *st, struct db *db, const struct runner *r,
	struct err *err)
{
	CLEANUP_GITHUB struct github *gh = NULL;

	if (runner_github(st, r, &gh, err) ||
		runner_asked(db, r->name, err))
		return -1;
	if (runner_unregister(gh, r, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		return err_set(err, ERR_BUSY,
			"runner '%s' has a job; 'forge-runner stop --now %s' "
			"ends both", r->name, r->name);
	}
	return runner_removed(db, r->name, err);
}

/*
 * One that is not registered yet must not become so between our look and our
 * signal: then it could have a job.
 */
static int
keep_idle(struct state *st, struct db *db, const char *name, struct runner *r,
	struct err *err)
{
	if (!r->registered &&
		(!strcmp(r->state, "starting") || !strcmp(r->state, "booted"))) {
		if (!runner_unwanted(db, name, "stopped", err))
			return 0;
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT;
		runner_release(r);
		if (runner_get(db, name, r, err))
			return -1;
	}
	return r->registered ? take_away(st, db, r, err) : 0;
}

static int
wait_gone(struct state *st, const char *name, int64_t wait_ms,
	struct err *err)
{
	CLEANUP_CLOSE int lock = -1;

	if (!state_lock(st, "runner", name, 0, wait_ms, &lock, err))
		return 0;
	if (err->code != ERR_BUSY)
		return -1;
	return err_set(err, ERR_TIMEOUT,
		"runner '%s' was told to stop but is still there", name);
}

int
runner_stop(struct state *st, const char *name, bool now, int64_t wait_ms,
	struct err *err)
{
	CLEANUP_RUNNER struct runner r = RUNNER_INIT;
	struct db *db;
	pid_t pid;

	if (state_db(st, &db, err) || runner_get(db, name, &r, err))
		return -1;
	if (!strcmp(r.state, "done"))
		return 0;
	if (!now && keep_idle(st, db, name, &r, err))
		return -1;
	pid = r.supervisor ? proc_find(r.supervisor) : 0;
	if (pid && kill(pid, SIGTERM) && errno != ESRCH)
		return err_sys(err, "cannot signal runner '%s'", name);
	return wait_gone(st, name, wait_ms, err);
}
