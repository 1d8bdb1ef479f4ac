/*
 * session: the rows of coding-agent sessions, and their states.
 *
 *	pending -> running <-> waiting (for an answer)
 *	              |   <--> limited (until a time)
 *	              |   <--> idle    (for the next message)
 *	              `-> completed, failed, stopped, interrupted -> pending
 *
 * The table session_transition has all of them, and a trigger allows no
 * other.  Each function that changes the state writes its event, of the kind
 * "session.STATE", in the same transaction.
 *
 * A session lives while its supervisor holds the lock run/session/ID; a row
 * that says otherwise is repaired by session_repair(), which every command
 * that looks calls first.
 */
#ifndef FORGE_SESSION_SESSION_H
#define FORGE_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct argv;
struct state;
struct db;

enum session_state {
	SESSION_PENDING,
	SESSION_RUNNING,
	SESSION_WAITING,
	SESSION_IDLE,
	SESSION_LIMITED,
	SESSION_COMPLETED,
	SESSION_FAILED,
	SESSION_STOPPED,
	SESSION_INTERRUPTED,
	SESSION_STATE__MAX
};

const char *session_state_name(enum session_state s);
/* It has ended: completed, failed, stopped or interrupted. */
bool session_over(enum session_state s);

/*
 * What is known of a session; all strings are its own, NULL where there is
 * nothing.
 *
 * options is a JSON object of what its maker chose and no query asks for:
 *	args	array: more words for the agent's command line
 *	command	array: the command line of the provider `command`
 *	env	array: NAME=VALUE, or NAME of the caller's environment
 *	once	true: it ends when all messages are answered
 *	on_ask	allow, deny, fail, wait, or wait=DURATION
 *	policy	path of the file of rules
 *	and what other parts of lib/session say in their headers.
 */
struct session {
	char *id;
	enum session_state state;
	char *provider;
	char *place;
	char *dir; /* absolute */
	char *identity;
	char *repo;
	char *base;
	char *branch;
	char *model;
	char *agent_session; /* the agent's own id */
	char *supervisor; /* see proc.h */
	char *reason;
	struct json *options; /* never NULL after session_get() */
	int64_t cost_microusd;
	int64_t tokens_in, tokens_out;
	int64_t turns;
	int64_t max_cost_microusd; /* limits; 0: none */
	int64_t max_tokens;
	int64_t max_turns;
	int64_t timeout_ms;
	int64_t idle_timeout_ms;
	int64_t limited_until; /* wall ms; 0: is not limited */
	int status; /* exit status that tells the outcome; -1: not over */
	int64_t created_at;
	bool started; /* once at least */
	bool cut; /* it ended in the middle of a turn */
};

#define SESSION_INIT ((struct session){ .status = -1 })
void session_release(struct session *s);
#define CLEANUP_SESSION __attribute__((cleanup(session_release)))

/*
 * The intent: row 'pending' of the fields of s (id, provider, place, dir,
 * identity, repo, base, branch, model, options, limits), its first message
 * (NULL: none), and the event session.requested, in one transaction.  We are
 * its supervisor until another process is.  ERR_EXISTS.
 */
int session_create(struct db *db, const struct session *s,
	const char *message, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_NOTFOUND. */
int session_get(struct db *db, const char *id, struct session *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * The next state, and why (one line, or NULL).  status is the exit status of
 * a session that is over, else -1.  data (or NULL, taken over) is added to
 * the event.  ERR_BUSY when its state does not allow that; ERR_EXISTS when
 * it shall be completed while a message waits.
 */
int session_move(struct db *db, const char *id, enum session_state to,
	const char *reason, int status, struct json *data, struct err *err)
	__attribute__((warn_unused_result));

/* It is limited until then (wall ms). */
int session_limit(struct db *db, const char *id, int64_t until,
	const char *reason, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Over, and to go on: row 'pending' again, with one more message or NULL.
 * We are its supervisor until another process is.  ERR_BUSY when it lives.
 */
int session_again(struct db *db, const char *id, const char *message,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Tell its supervisor to end it; session_wait() waits for that.  While the
 * worktree is made nobody reads messages: then the supervisor gets SIGTERM,
 * and session_repair() finds it stopped.  One that is over is no failure.
 */
int session_stop(struct state *st, const char *id, struct err *err)
	__attribute__((warn_unused_result));

/* This process supervises it (pending). */
int session_adopt(struct db *db, const char *id, struct err *err)
	__attribute__((warn_unused_result));

/* Where it works; known once the worktree is there. */
int session_dir_is(struct db *db, const char *id, const char *dir,
	struct err *err) __attribute__((warn_unused_result));
/* The agent told its own id. */
int session_agent_is(struct db *db, const char *id, const char *agent,
	const char *model, struct err *err)
	__attribute__((warn_unused_result));

/* What it used, all in all. */
struct session_usage {
	int64_t cost_microusd;
	int64_t tokens_in, tokens_out;
	int64_t turns;
};
int session_used(struct db *db, const char *id,
	const struct session_usage *u, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The ids of those that are 'interrupted' because their supervisor died while
 * they were limited: who resumes one goes on waiting for that time.
 */
int session_cut_limited(struct db *db, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Rows that live although no supervisor does become 'interrupted', and what
 * they asked is withdrawn.  id NULL: all of them.
 */
int session_repair(struct state *st, const char *id, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Those that are not over, then, with all, the others, newest first; one
 * JSON object each; emit owns it.
 */
int session_each(struct db *db, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));
int session_show(struct db *db, const char *id, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Forget a session that is over: its row, messages, asks and directory
 * session/ID.  ERR_BUSY when it lives.  What it has in a repository is
 * others' to clean up first.
 */
int session_forget(struct state *st, const char *id, struct err *err)
	__attribute__((warn_unused_result));

#endif
