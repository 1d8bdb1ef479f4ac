/*
 * scaleset_internal: what the files of scaleset.h share.
 *
 *	scaleset_admin.c	the connection, the set, JIT configurations
 *	scaleset_queue.c	the session and its messages
 *	scaleset_jobs.c		messages into the table job
 *	scaleset.c		the loop
 */
#ifndef FORGE_RUNNER_SCALESET_INTERNAL_H
#define FORGE_RUNNER_SCALESET_INTERNAL_H

#include "lib/base/json.h"
#include "lib/runner/pool.h"
#include "lib/runner/scaleset.h"

struct http;

struct scaleset {
	struct state *st;
	struct github *gh; /* borrowed */
	const struct pool *pool; /* borrowed */
	int cancel; /* an fd; -1: none */
	char *url, *token; /* of the Actions service; NULL: not connected */
	int64_t group, id; /* 0: not known */

	/* Of the session. */
	char *session, *queue, *queue_token;
	int64_t last; /* message */
};

struct scaleset_call {
	const char *method;
	const char *url; /* whole */
	const char *token; /* after "Bearer " */
	const char *scheme; /* instead of Bearer, or NULL */
	struct json *body; /* taken over; or NULL */
	int capacity; /* X-ScaleSetMaxCapacity; -1: none */
	long timeout_ms; /* 0: the usual */
	bool once; /* must not happen twice */
};

void scaleset_release(struct scaleset *s);
/* ret NULL: no JSON is wanted.  *ret_status 0: no answer came. */
int scaleset_call(struct scaleset *s, const struct scaleset_call *call,
	struct json **ret, int *ret_status, struct err *err)
	__attribute__((warn_unused_result));
/* One at the Actions service, below _apis/runtime/; connects, finds or makes
 * the set; again once when the connection is no longer good.  "%s" in rest
 * is the id of the set. */
int scaleset_api(struct scaleset *s, const char *method, const char *rest,
	const struct json *body, bool once, struct json **ret,
	int *ret_status, struct err *err) __attribute__((warn_unused_result));

/* ERR_EXISTS: another session lives. */
int scaleset_open_session(struct scaleset *s, struct json **ret_statistics,
	struct err *err) __attribute__((warn_unused_result));
void scaleset_close_session(struct scaleset *s);
/* *ret NULL: nothing came for a while. */
int scaleset_next(struct scaleset *s, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
int scaleset_delete(struct scaleset *s, int64_t message, struct err *err)
	__attribute__((warn_unused_result));

/* Jobs of a message into the table; acquire is given what is to be asked
 * for: an array of request ids. */
int scaleset_take(struct scaleset *s, const struct json *message,
	struct json *acquire, struct err *err)
	__attribute__((warn_unused_result));
/* Make the table agree with how many jobs the set has. */
int scaleset_agree(struct scaleset *s, const struct json *statistics,
	struct err *err) __attribute__((warn_unused_result));

#endif
