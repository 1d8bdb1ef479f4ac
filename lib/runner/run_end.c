#include "lib/runner/run_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/runner/github.h"
#include "lib/runner/place.h"
#include "lib/runner/sync.h"
#include "lib/runner/verdict.h"
#include "lib/state/state.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

#define DIAG_TIMEOUT 30000 /* ms for the archive */

/* ---- the result ---- */

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

/* GitHub refused a registration for it, or let it be removed: no job. */
static bool
taken_away(const struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;

	return !runner_get(r->db, r->name, &row, &err) && row.asked &&
		!row.job;
}

static enum runner_result
judge_ended(struct run *r, int status)
{
	if (taken_away(r)) {
		r->why = xstrdup("removed");
		return RUNNER_UNUSED;
	}
	r->why = xasprintf(r->phase == RUN_BOOTING ?
			"the place ended with status %d before it was up" :
			"the listener ended with status %d",
		status);
	return RUNNER_ERROR;
}

static enum runner_result
judge_stopped(struct run *r)
{
	r->why = xstrdup(r->reason);
	if (r->unused || (r->told && !r->github_id) || taken_away(r))
		return RUNNER_UNUSED;
	return r->err.code || !r->github_id || r->timed_out ?
		RUNNER_ERROR :
		RUNNER_CANCELLED;
}

/*
 * What the listener says is a hint: GitHub's word is the truth, where a
 * webhook brought it; and where the listener says nothing, it is asked.
 */
static void
judge(struct run *r, int status)
{
	enum runner_result hint = runner_result_of(status);
	/* These, and act_runner, say that it is over, not how. */
	bool mute = hint == RUNNER_UNUSED && (place_is_far(r->pool->place) ||
		(r->gh && github_is_gitea(r->gh)));
	struct err err = ERR_INIT;

	r->judged = true;
	r->result = hint;
	if (hint == RUNNER_ERROR || r->timed_out || r->err.code || r->unused)
		r->result = r->reason ? judge_stopped(r) :
					judge_ended(r, status);
	if (r->timed_out || r->err.code || !r->gh)
		return;
	if (job_verdict(r->db, r->gh, r->name,
		    mute || r->result == RUNNER_ERROR, &r->result, &err))
		log_warning("runner.result", "name", r->name, "error", err.msg,
			NULL);
}

/* ---- deregistration ---- */

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

/* ---- the listener's end ---- */

void
run_listened(struct run *r, int status)
{
	struct err err = ERR_INIT;

	r->listener = status;
	r->phase = RUN_ENDED;
	r->idle_deadline = r->online_deadline = -1;
	r->deadline = clock_mono() + DIAG_TIMEOUT;
	judge(r, status);
	if (!r->reason && runner_ending(r->db, r->name, NULL, &err))
		log_warning("runner.ending", "name", r->name, "error",
			err.msg, NULL);
	place_tell(r, "diag\n");
}

static void
keep_archive(struct run *r)
{
	CLEANUP_FREE char *path = xasprintf("runner/%s/diag.tar.gz", r->name);
	CLEANUP_BUF struct buf raw = BUF_INIT;
	struct err err = ERR_INIT;

	if (!r->diag.len)
		return;
	if (base64_decode(r->diag.s, r->diag.len, r->diag.len, &raw) ||
		fs_replace(state_dir(r->st), path, raw.s, raw.len, 0600, &err))
		log_warning("runner.diag", "name", r->name, "error",
			err.code ? err.msg : "not base64", NULL);
	buf_release(&r->diag);
}

static bool
failed(const struct run *r)
{
	return r->result == RUNNER_FAILED || r->result == RUNNER_ERROR ||
		r->result == RUNNER_ABANDONED;
}

/* At GitHub it is gone before it is kept here. */
static bool
hold(struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;

	if (!failed(r) || r->told ||
		runner_get(r->db, r->name, &row, &err) || !row.hold_ms)
		return false;
	deregister(r);
	if (runner_held(r->db, r->name, clock_wall() + row.hold_ms, &err)) {
		log_warning("runner.held", "name", r->name, "error", err.msg,
			NULL);
		return false;
	}
	log_info("runner.held", "name", r->name, NULL);
	r->phase = RUN_HELD;
	r->deadline = clock_mono() + row.hold_ms;
	return true;
}

static void
leave(struct run *r)
{
	r->phase = RUN_LEAVING;
	r->deadline = clock_mono() + STOP_GRACE;
	place_tell(r, NULL);
}

void
run_archived(struct run *r)
{
	keep_archive(r);
	if (!hold(r))
		leave(r);
}

void
run_held_over(struct run *r)
{
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;
	int64_t left = 0;

	if (!runner_get(r->db, r->name, &row, &err))
		left = row.held_until - clock_wall();
	if (left > 0)
		r->deadline = clock_mono() + left;
	else
		leave(r);
}

/* ---- the place's end ---- */

static int
exit_status(const struct run *r)
{
	if (r->err.code)
		return err_status(r->err.code);
	if (r->timed_out)
		return EXIT_TIMEOUT;
	switch (r->result) {
	case RUNNER_SUCCEEDED:
	case RUNNER_SKIPPED:
	case RUNNER_UNUSED:
		return EXIT_OK;
	case RUNNER_ERROR:
		return r->github_id || r->listener >= 0 ? EXIT_FAILED :
						       EXIT_PLACE;
	case RUNNER_FAILED:
	case RUNNER_CANCELLED:
	case RUNNER_ABANDONED:
	case RUNNER_LOST:
	case RUNNER_RESULT__MAX:
		break;
	}
	return EXIT_FAILED;
}

int
run_finish(struct run *r, int *ret_status, struct err *err)
{
	struct err ignored = ERR_INIT;

	/* A last line without an end, often why the place failed. */
	place_flush(r);
	if (!r->judged)
		judge(r, proc_exit_status(&r->status));
	if (r->phase == RUN_ENDED)
		keep_archive(r);
	if (!r->reason && r->listener < 0 &&
		runner_ending(r->db, r->name, NULL, &ignored))
		log_warning("runner.ending", "name", r->name, "error",
			ignored.msg, NULL);
	deregister(r);
	if (runner_done(r->db, r->name, r->result, r->why, err))
		return -1;
	*ret_status = exit_status(r);
	if (*ret_status && r->why)
		(void)err_set(err, ERR_SYS, "runner '%s': %s", r->name,
			r->why);
	return 0;
}
