/*
 * delivery: the durable inbox of webhooks.  A delivery that was taken or
 * spooled survives power loss; one of a GUID seen before changes nothing.
 *
 * delivery_take() puts the delivery, its job and the event into the database
 * in one transaction.  Where that cannot be had, delivery_spool() keeps it in
 * STATE/spool/new, as a maildir does, for delivery_ingest().
 *
 * Only what was verified comes here.
 */
#ifndef FORGE_RUNNER_DELIVERY_H
#define FORGE_RUNNER_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct db;
struct state;

struct delivery { /* all borrowed */
	const char *guid; /* X-GitHub-Delivery */
	const char *event; /* X-GitHub-Event */
	const char *hook; /* [github "NAME"] whose secret it was, or NULL */
	const void *body; /* JSON */
	size_t n;
	int64_t received_at;
};

enum delivery_result {
	DELIVERY_APPLIED, /* its job moved on */
	DELIVERY_STALE, /* its job was that far already */
	DELIVERY_IGNORED, /* not about jobs; kept without its body */
	DELIVERY_DUPLICATE, /* its GUID was there */
	DELIVERY_RESULT__MAX
};
const char *delivery_result_name(enum delivery_result r);

/* What can be said before anything is kept: ERR_INVALID for GUIDs and
 * events that are none, a body that is not JSON or not a job's. */
int delivery_check(const struct delivery *d, struct err *err)
	__attribute__((warn_unused_result));
int delivery_take(struct db *db, const struct delivery *d,
	enum delivery_result *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The same inside a transaction; ERR_INVALID: nothing was changed. */
int delivery_take_in(struct db *db, const struct delivery *d,
	enum delivery_result *ret, struct err *err)
	__attribute__((warn_unused_result));
int delivery_spool(struct state *st, const struct delivery *d,
	struct err *err) __attribute__((warn_unused_result));

struct delivery_ingest {
	int64_t taken, duplicates, bad;
};
/*
 * Everything in the spool.  A file that is not one of ours goes to spool/bad;
 * files of writers that died, never acknowledged, go after an hour.
 */
int delivery_ingest(struct state *st, struct delivery_ingest *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * The same when what is there is little; otherwise nothing is done, and
 * *ret_rest is true, as it is after an error.
 */
int delivery_ingest_few(struct state *st, bool *ret_rest, struct err *err)
	__attribute__((warn_unused_result));

/* The same when there is something: before what shows deliveries or jobs. */
int delivery_catch_up(struct state *st, struct err *err)
	__attribute__((warn_unused_result));

/* Newest first; one JSON object each, without the body; emit owns it. */
int delivery_each(struct db *db, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));
/* With "body", parsed. */
int delivery_show(struct db *db, const char *guid, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));
/* Apply a stored one once more; never gives DELIVERY_DUPLICATE. */
int delivery_replay(struct db *db, const char *guid,
	enum delivery_result *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Forget what was received longer than age ms ago. */
int delivery_prune(struct db *db, int64_t age, int *ret_n, struct err *err)
	__attribute__((warn_unused_result));

#endif
