/*
 * ask: the rows of what agents ask: may I use this tool, or a question.
 *
 *	open -> allowed, denied, withdrawn
 *
 * The supervisor makes the row when the agent asks; anybody answers it, once;
 * the supervisor hears the bell and gives the answer to the agent.
 */
#ifndef FORGE_SESSION_ASK_H
#define FORGE_SESSION_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct db;

struct ask {
	int64_t id;
	char *session;
	char *request; /* the agent's own id of it */
	char *tool; /* NULL: a question */
	char *state;
	char *answered_by; /* or NULL */
	struct json *data; /* as in the transcript */
	struct json *answer; /* or NULL */
	int64_t created_at;
	int64_t expires_at; /* 0: never */
};
#define ASK_INIT ((struct ask){ 0 })
void ask_release(struct ask *a);
#define CLEANUP_ASK __attribute__((cleanup(ask_release)))

/*
 * The row, and the session 'waiting', with the event session.waiting, in one
 * transaction; data is borrowed.
 */
int ask_create(struct db *db, const char *session, const struct json *data,
	int64_t *ret_id, struct err *err) __attribute__((warn_unused_result));

int ask_get(struct db *db, int64_t id, struct ask *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Answer one that is open, and ring.  answer, or NULL, is borrowed: the keys
 * are those of engine_answer().  by says who: "user", "policy", "timeout".
 * ERR_NOTFOUND; ERR_BUSY when it was answered or withdrawn before.
 */
int ask_answer(struct state *st, int64_t id, bool allow,
	const struct json *answer, const char *by, struct err *err)
	__attribute__((warn_unused_result));

/* The supervisor's: the oldest that was answered and not delivered; 1, 0. */
int ask_answered(struct db *db, const char *session, struct ask *ret,
	struct err *err) __attribute__((warn_unused_result));
int ask_delivered(struct db *db, int64_t id, struct err *err)
	__attribute__((warn_unused_result));
/* request NULL: all of the session. */
int ask_withdraw(struct db *db, const char *session, const char *request,
	struct err *err) __attribute__((warn_unused_result));
int ask_open_count(struct db *db, const char *session, int64_t *ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
