/*
 * runner: the rows of the table of runners: one for each ephemeral runner
 * that was ever asked for, with what became of it.
 *
 *	starting -> booted -> registering -> idle -> busy -> ending -> done
 *	                                      ... -> held -> ending -> done
 *
 * Each function that changes a row writes its event in the same transaction.
 * A runner lives while its supervisor holds the lock run/runner/NAME; a row
 * that is not done while that lock is free is repaired by runner_sync().
 * The webhook's side (lib/runner/job.h) makes idle runners busy.
 */
#ifndef FORGE_RUNNER_RUNNER_H
#define FORGE_RUNNER_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct db;
struct pool;

/* The results of runner.result, as the CHECK in the schema has them. */
enum runner_result {
	RUNNER_SUCCEEDED,
	RUNNER_FAILED,
	RUNNER_CANCELLED,
	RUNNER_SKIPPED,
	RUNNER_ABANDONED,
	RUNNER_UNUSED, /* ended without a job */
	RUNNER_LOST, /* its supervisor died */
	RUNNER_ERROR, /* it never could work */
	RUNNER_RESULT__MAX
};

const char *runner_result_name(enum runner_result r);

/*
 * The intent: before anything is booted.  labels: one label set as JSON.
 * on_demand: it may be given up when no job waits for it.
 */
int runner_create(struct db *db, const char *name, const struct pool *pool,
	const char *labels, bool on_demand, struct err *err)
	__attribute__((warn_unused_result));
/* The place is up. */
int runner_booted(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* From here on GitHub may know the runner. */
int runner_registering(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));
int runner_registered(struct db *db, const char *name, int64_t github_id,
	struct err *err) __attribute__((warn_unused_result));
/* From booted, when another registered it and gave us its configuration. */
int runner_handed(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* Another process, this one, is its supervisor; *ret_registered_at is when it
 * was registered.  ERR_BUSY: it is not idle or busy. */
int runner_adopted(struct db *db, const char *name, int64_t *ret_registered_at,
	struct err *err) __attribute__((warn_unused_result));
int runner_ending(struct db *db, const char *name, const char *reason,
	struct err *err) __attribute__((warn_unused_result));
/*
 * The same, but only while GitHub cannot know it: from then on its supervisor
 * will not register it.  ERR_BUSY: too late.
 */
int runner_unwanted(struct db *db, const char *name, const char *reason,
	struct err *err) __attribute__((warn_unused_result));
/* The intent to remove it at GitHub, if it has no job there. */
int runner_asked(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));
int runner_done(struct db *db, const char *name, enum runner_result result,
	const char *reason, struct err *err)
	__attribute__((warn_unused_result));
/* The listener has told its version. */
int runner_version_is(struct db *db, const char *name, const char *version,
	struct err *err) __attribute__((warn_unused_result));
/* Its job failed, and the place stays until then. */
int runner_held(struct db *db, const char *name, int64_t until,
	struct err *err) __attribute__((warn_unused_result));
/*
 * Keep the place of a runner that fails, or is held already, for ms from
 * then, or from now; 0: do not.  ERR_BUSY: it is done.
 */
int runner_hold(struct db *db, const char *name, int64_t ms, struct err *err)
	__attribute__((warn_unused_result));
/* GitHub does not know it any more. */
int runner_removed(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));

struct runner {
	char *name;
	char *pool; /* or NULL */
	char *scope;
	char *state;
	char *supervisor; /* or NULL */
	char *vm; /* or NULL */
	int64_t github_id; /* 0: not known */
	int64_t job; /* 0: none seen */
	int64_t hold_ms; /* 0: not to be held when it fails */
	int64_t held_until; /* wall ms; 0: is not held */
	bool registered;
	bool asked; /* GitHub was asked to remove it */
};

#define RUNNER_INIT ((struct runner){ 0 })
void runner_release(struct runner *r);
#define CLEANUP_RUNNER __attribute__((cleanup(runner_release)))

/* ERR_NOTFOUND when there is none; else *ret must be released. */
int runner_get(struct db *db, const char *name, struct runner *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Every runner that is not done, then, with all, the others, newest first;
 * one JSON object each; emit owns it.
 */
int runner_each(struct db *db, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* One such object; the caller frees it. */
int runner_show(struct db *db, const char *name, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));
/* Forget a row that is done and not registered; ERR_BUSY otherwise. */
int runner_forget(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

#endif
