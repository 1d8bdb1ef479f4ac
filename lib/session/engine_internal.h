/*
 * engine_internal: what the files of the process that is a session share;
 * only for engine*.c.
 *
 *	engine.c	beginning, loop, signals, deadlines, the end
 *	engine_agent.c	the agent's process: start, stdin, stdout, stderr, end
 *	engine_turn.c	messages, turns, limits
 *	engine_event.c	what the agent's events mean; transcript, hooks
 *	engine_secret.c	values that no transcript gets
 *	engine_ask.c	what it asks, and the answers
 *	engine_keeper.c	the process that keeps its VM, where it has one
 */
#ifndef FORGE_SESSION_ENGINE_INTERNAL_H
#define FORGE_SESSION_ENGINE_INTERNAL_H

#include "lib/base/buf.h"
#include "lib/base/proc.h"
#include "lib/session/engine.h"
#include "lib/session/memfile.h"
#include "lib/session/message.h"
#include "lib/session/netns.h"
#include "lib/session/provider.h"
#include "lib/session/transcript.h"
#include "lib/session/translate.h"

#define HOOKS_MAX 16
#define TERM_GRACE 5000 /* ms from the end of stdin to TERM, and to KILL */
#define INTERRUPT_GRACE 10000 /* ms until a turn that was interrupted is over */

enum phase {
	PHASE_IDLE, /* no turn, and nothing keeps from the next */
	PHASE_TURN, /* the agent works, or waits for an answer */
	PHASE_LIMITED, /* nothing is sent until a time */
	PHASE_ENDING, /* the agent was told to end */
	PHASE_OVER,
};

struct redactor;

/* A redactor holds back the end of what it saw, so each stream has its own. */
enum hide { HIDE_LINE, HIDE_TEXT, HIDE_ERRORS, HIDE__MAX };

struct engine {
	struct state *st;
	struct db *db;
	struct session s; /* the row; state and usage are kept up to date */
	struct provider p;
	struct translator *tr; /* NULL until the first agent runs */
	const struct engine_run *run;
	bool emitting;
	int lock, signals, bell;
	struct transcript log;
	enum phase phase;

	struct child keeper; /* of a VM; pid 0: none */
	char *vm; /* its name, once it is ready */
	int api_port; /* of 127.0.0.1: the proxy; 0: none */
	bool unsynced; /* the agent may have written there since */
	struct memfile env; /* for the agent there */
	struct netns netns; /* of a bwrap without a network; else NETNS_INIT */

	struct child agent; /* pid 0: none */
	int out, err; /* read ends of its stdout and stderr, or -1 */
	int err_file; /* where the latter is kept */
	int64_t err_kept; /* bytes */
	struct buf line; /* of stdout, not whole yet */
	struct buf said; /* the last line of stderr */
	struct buf in; /* for its stdin, not written yet */
	bool in_ends; /* close stdin when that is written */
	bool heard; /* it has said something since it was started */
	int garbage; /* lines in a row that were no JSON */

	struct redactor *hide[HIDE__MAX]; /* NULL: there is no secret */
	const char *piece_kind; /* of the last piece of text, or NULL */

	bool resumed; /* the session went on: a message may be lacking */
	struct message message; /* of the turn */
	bool taken; /* the agent showed that it has it */
	bool result; /* the turn has one */
	bool result_ok, result_limit, result_interrupted;
	char *result_reason; /* or NULL */
	bool interrupted; /* by us */
	int64_t interrupts;
	int64_t limited_until; /* wall; the agent's API said so; 0: not */
	bool limit_wanted; /* by a hook, in this turn */
	char *again; /* what is sent at that time; NULL: the message */
	struct session_usage base; /* before this process of the agent */

	int64_t deadline; /* monotonic, of the phase or of an interrupt; -1 */
	int64_t start_deadline; /* monotonic; -1 */
	bool told_term; /* the deadline was for TERM; the next is for KILL */

	enum session_state to; /* PHASE_ENDING: what it becomes */
	int status;
	char reason[512];

	size_t hooks; /* how many were opened; no other is called */
	void *own[HOOKS_MAX];
	int64_t timers[HOOKS_MAX];
};

/* ---- engine.c ---- */

/* The state of the row; a failure ends the session. */
void engine_move(struct engine *e, enum session_state to, const char *reason,
	struct json *data);
/* engine_end(FAILED) with the line in err. */
void engine_fail(struct engine *e, const struct err *err);

/* ---- engine_agent.c ---- */

int agent_start(struct engine *e, struct err *err)
	__attribute__((warn_unused_result));
/* Its stdin: a line more; it ends after what was queued. */
int agent_send(const char *line, size_t n, void *engine, struct err *err);
void agent_close_stdin(struct engine *e);
/* As far as it goes without waiting. */
void agent_write(struct engine *e);
bool agent_read(struct engine *e); /* false: there was nothing */
void agent_hear_errors(struct engine *e);
/* It has exited: the rest of its output, then what that means. */
void agent_ended(struct engine *e);
void agent_release(struct engine *e);
/* What we tell it, through in.jq; data is taken over. */
int agent_tell(struct engine *e, const char *kind, struct json *data,
	bool *ret_sent, struct err *err) __attribute__((warn_unused_result));

/* ---- engine_keeper.c ---- */

/* Of a session whose place is a VM; of another these do nothing, but that
 * the first makes a network where the place wants one of its own. */
int keeper_begin(struct engine *e, struct err *err)
	__attribute__((warn_unused_result));
/* The VM has what was changed here; here is what was changed there. */
int keeper_turn(struct engine *e, struct err *err)
	__attribute__((warn_unused_result));
/*
 * How to run the agent there.  What is in p->env is for it, and goes by an fd;
 * forge-vm itself has our environment.
 */
int keeper_command(struct engine *e, const struct argv *agent,
	struct proc *p, struct err *err) __attribute__((warn_unused_result));
int keeper_sync(struct engine *e, struct err *err)
	__attribute__((warn_unused_result));
/* The VM is gone when it returns. */
void keeper_end(struct engine *e);

/* ---- engine_turn.c ---- */

/* The next message, or what else is to be done when no turn is open. */
void turn_next(struct engine *e);
/*
 * The agent has said something since it was sent the message: it has it.  A
 * message that it may not have is sent again after a crash.
 */
int turn_taken(struct engine *e, struct err *err)
	__attribute__((warn_unused_result));
/* The result of the turn is known, and its process gone where it has one. */
void turn_over(struct engine *e);
/* The agent is gone in the middle of a turn, or says nothing of it. */
void turn_result(struct engine *e, bool ok, const char *reason);
void turn_interrupt(struct engine *e);
/* People's wishes: interrupt, stop. */
void turn_wishes(struct engine *e);
void turn_limit_over(struct engine *e);
/* The supervisor before us died while the limit lasted. */
void turn_still_limited(struct engine *e);

/* ---- engine_event.c ---- */

/* Into the transcript, to stdout, to hooks; data is taken over. */
int event_write(struct engine *e, const char *kind, struct json *data,
	struct err *err) __attribute__((warn_unused_result));
/* The agent's: also what it means.  For struct translated. */
int event_take(const char *kind, struct json *data, void *engine,
	struct err *err);
/* Calls of all hooks. */
void hooks_env(struct engine *e, struct argv *ret, struct argv *args);
void hooks_ask(struct engine *e, int64_t ask, const struct json *data);
void hooks_turn(struct engine *e, const struct json *result);
void hooks_limited(struct engine *e, int64_t until);

/* ---- engine_secret.c ---- */

/* The values of an environment whose names say that they are secrets. */
void hide_env(struct engine *e, const struct argv *env);
void hide_release(struct engine *e);
/* False: there are no secrets.  Else ret is what p may become known as. */
bool hide_line(struct engine *e, const char *p, size_t n, struct buf *ret);
/* A stream; p NULL: its end. */
bool hide_errors(struct engine *e, const char *p, size_t n,
	struct buf *ret);
/*
 * A secret may come in pieces of text, each an event: 1 write this event, 0
 * do not, -1.  What was held back is written before.
 */
int hide_pieces(struct engine *e, const char *kind, struct json **data,
	struct err *err) __attribute__((warn_unused_result));

/* ---- engine_ask.c ---- */

/* The agent asked; data is taken over. */
int ask_raise(struct engine *e, struct json *data, struct err *err)
	__attribute__((warn_unused_result));
/* Answers that came into the table are given to the agent. */
void ask_deliver(struct engine *e);
/* It does not want to know any more; request NULL: anything. */
void ask_void(struct engine *e, const char *request);

#endif
