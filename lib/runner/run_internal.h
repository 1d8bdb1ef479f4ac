/*
 * run_internal: what the files of the process that is a runner share; only
 * for run*.c.
 *
 *	run.c		beginning, loop, deadlines
 *	run_place.c	the place, and what it prints
 *	run_end.c	the listener's end: result, archive, hold
 */
#ifndef FORGE_RUNNER_RUN_INTERNAL_H
#define FORGE_RUNNER_RUN_INTERNAL_H

#include "lib/base/buf.h"
#include "lib/base/proc.h"
#include "lib/runner/run.h"

#define STOP_GRACE 30000 /* ms from TERM to KILL of the place */

struct db;
struct github;

enum phase {
	RUN_BOOTING, /* the place is not up yet */
	RUN_LISTENING,
	RUN_ENDED, /* the listener; its diagnostics are being fetched */
	RUN_HELD, /* the place is kept for a look */
	RUN_LEAVING, /* the place was told to end */
};

struct run {
	struct state *st;
	struct db *db;
	const struct pool *pool;
	const char *labels;
	char *name;
	struct github *gh; /* NULL: somebody else registers it */
	const char *jit; /* then this is its configuration */
	int lock;
	int log;
	size_t logged;
	int output_fd;
	int signals;
	int output; /* read end of what the place prints */
	struct child place;
	enum phase phase;
	char *mark; /* printed by the place when it is up, and later */
	struct buf line; /* output that may become the mark */
	struct buf diag; /* the archive as it comes, base64 */
	bool adopted; /* its first supervisor died */
	bool versioned; /* the listener has told its version */
	int64_t github_id;
	int64_t deadline; /* monotonic; what for depends on the phase */
	int64_t idle_deadline; /* monotonic, -1 none */
	int64_t online_deadline; /* likewise */
	const char *reason; /* why we end it; NULL: it ends itself */
	bool timed_out;
	bool told; /* to end, by somebody */
	bool unused; /* GitHub let us remove it: it had no job */
	int listener; /* its exit status; -1: not known */
	bool judged;
	enum runner_result result; /* once judged */
	char *why; /* likewise, or NULL */
	bool ended; /* the place */
	struct proc_status status;
	struct err err; /* what went wrong, if anything */
};

/* ---- run.c ---- */

/* Begin to end it; the loop goes on until the place is gone. */
void run_stop(struct run *r, const char *reason);
/* The place is up: register and hand the configuration over. */
void run_up(struct run *r);

/* ---- run_place.c ---- */

int place_start(struct run *r, struct err *err)
	__attribute__((warn_unused_result));
void place_signal(struct run *r, int sig);
/* A word for the shell in the place; NULL: that there will be no more. */
void place_tell(struct run *r, const char *word);
/* What the place printed; calls run_up(), run_listened(), run_archived(). */
void place_read(struct run *r);
/* What is left of it. */
void place_flush(struct run *r);

/* ---- run_end.c ---- */

/* The listener has ended with this status; the place has not. */
void run_listened(struct run *r, int status);
/* The archive is complete, or will not be. */
void run_archived(struct run *r);
/* The time of a held place is over, unless somebody gave it more. */
void run_held_over(struct run *r);
/* The place is gone: deregister, and write what became of it. */
int run_finish(struct run *r, int *ret_status, struct err *err)
	__attribute__((warn_unused_result));

#endif
