/*
 * receive: the door for GitHub's webhooks: one request, answered.
 *
 * In this order: 405 not POST; 503 no secret; 411, 413 the body's length;
 * 415 neither JSON nor a form; 401 the signature, over the raw bytes, before
 * anything in them is looked at; 400 headers or JSON; then 202 taken, 200 a
 * ping, or an event that is not about jobs; 503 when it could be kept nowhere.
 * Every body is one line of JSON.
 *
 * What is about jobs goes to the spool, or else into the database; with
 * webhook.direct the other way round, which also tells (200) of a GUID seen
 * before.  The program in cmd/forge-webhook/door does the usual case alone.
 */
#ifndef FORGE_RUNNER_RECEIVE_H
#define FORGE_RUNNER_RECEIVE_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/net/web.h"
#include "lib/runner/delivery.h"

/*
 * Reads, decides and answers; w is opened and closed by the caller.  0 when
 * an answer was written, of whatever status; then *log, when its code is
 * set, has what the operator, not the client, should know.
 */
int receive(struct web *w, struct err *log, struct err *err)
	__attribute__((warn_unused_result));

struct state;

/*
 * Is signature that of body under one of the configured secrets?  *ret_hook
 * (caller frees) is the NAME of its [github "NAME"].  ERR_AUTH: under none;
 * ERR_NOTFOUND: no secret is configured or readable.
 */
int receive_verify(struct state *st, const char *signature, const void *body,
	size_t n, char **ret_hook, struct err *err)
	__attribute__((warn_unused_result));

/* Into the database or else the spool; when spool is set, the other way
 * round.  *ret_answer says what became of it; *log why it had to be the
 * second. */
int receive_store(struct state *st, const struct delivery *d, bool spool,
	int *ret_status, struct json **ret_answer, struct err *log,
	struct err *err) __attribute__((warn_unused_result));

#endif
