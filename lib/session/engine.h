/*
 * engine: the one process that is a session, from the intent to the end.
 *
 *	0. row 'pending' (session_create(), session_again()), by whoever starts
 *	1. lock run/session/ID; the row is ours (session_adopt())
 *	2. the worktree, or the directory that was given; transcript open
 *	3. the agent starts in its place; row 'running'
 *	4. messages to it, its lines through the provider's out.jq to the
 *	   transcript, then to the row, to hooks and to stdout
 *	5. a turn is over: row 'idle', the next message, or the end
 *	6. the agent is told to end, the row says how it went
 * What kill -9 leaves at each step is put right by session_repair(); the
 * transcript and the agent's own session are there, so session_again() goes
 * on.  The agent dies with its supervisor (PR_SET_PDEATHSIG).
 *
 * SIGTERM or SIGINT stop the session; a second one kills the agent.
 *
 * ---- hooks ----
 *
 * Parts of lib/session that have a say in how a session goes are a struct
 * engine_hook in the table of hooks.c.  The engine calls, in the order of
 * that table and always from its own loop (so nothing may block, and no
 * transaction is open):
 *
 *	open	before the agent starts.  -1 ends the session as failed, and
 *		nothing else of this hook is called.
 *		*ret_own is given to all the others; NULL is allowed.
 *	env	the agent is about to start: add NAME=VALUE to its
 *		environment, and words to its command line
 *	event	an event was written to the transcript: any kind, also ours
 *	ask	the agent asked; the row is there, the state is 'waiting'.
 *		Answer with engine_answer(), now or later, or leave it to
 *		people: their answers come through the row.
 *	usage	the totals of the session have changed
 *	turn	a turn is over (data of its result event); before the row
 *		becomes idle or the next message is sent
 *	limited	the agent was told by its API to wait until then (wall ms)
 *	timer	engine_timer() ran out
 *	close	the session is over; the row says so already
 * All are optional.  What they may do is below.
 */
#ifndef FORGE_SESSION_ENGINE_H
#define FORGE_SESSION_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/session/session.h"

struct state;
struct db;
struct engine;
struct provider;

struct engine_hook {
	const char *name;
	int (*open)(struct engine *e, void **ret_own, struct err *err);
	void (*env)(struct engine *e, void *own, struct argv *ret,
		struct argv *args);
	void (*event)(struct engine *e, void *own, const char *kind,
		const struct json *data);
	void (*ask)(struct engine *e, void *own, int64_t ask,
		const struct json *data);
	void (*usage)(struct engine *e, void *own,
		const struct session_usage *total);
	void (*turn)(struct engine *e, void *own, const struct json *result);
	void (*limited)(struct engine *e, void *own, int64_t until);
	void (*timer)(struct engine *e, void *own);
	void (*close)(struct engine *e, void *own);
};

/* hooks.c: ended by NULL. */
extern const struct engine_hook *const engine_hooks[];

/* ---- what hooks may ask and do ---- */

const struct session *engine_session(const struct engine *e); /* the row */
struct state *engine_state(struct engine *e);
struct db *engine_db(struct engine *e);
const struct provider *engine_provider(const struct engine *e);

/* An event of ours into the transcript; data is taken over. */
void engine_note(struct engine *e, const char *kind, struct json *data);

/*
 * From now on [redacted: NAME] stands for this value, in whatever form, in
 * all that the agent says.  One of less than 8 bytes stays as it is.
 */
void engine_secret(struct engine *e, const char *name, const char *value);

/*
 * Answer an ask that is open, for the agent and in the row.  answer, or NULL,
 * is an object, taken over: "message" (why not), "input" (other input than
 * was asked for), "always" (true: accept what the agent suggests),
 * "interrupt" (true: end the turn as well).  by says who.
 */
void engine_answer(struct engine *e, int64_t ask, bool allow,
	struct json *answer, const char *by);

/* End the turn; the session goes on. */
void engine_interrupt(struct engine *e);

/*
 * End the session: the agent gets a moment to write its state, then the row
 * becomes `to` with reason and the exit status.  The first call counts.
 */
void engine_end(struct engine *e, enum session_state to, int status,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Start nothing until then (wall ms): row 'limited'.  At that time the agent
 * is sent `again`, or, when NULL, the message of the turn that failed.
 */
void engine_limit(struct engine *e, int64_t until, const char *reason,
	const char *again);

/*
 * A listening TCP socket, which the agent reaches under the name that it has,
 * wherever it runs.  At most one.
 */
int engine_listen(struct engine *e, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));

/* Call timer of this hook at that time (monotonic ms); -1: not any more. */
void engine_timer(struct engine *e, const void *own, int64_t when);

/* ---- running one ---- */

struct engine_run {
	const char *id; /* a row that is pending */
	int notify_fd; /* gets "ID\n" after step 1 and is closed; or -1 */
	/* every line of the transcript, as it is written; or NULL.  -1 stops
	 * the giving, not the session. */
	int (*emit)(const char *line, size_t n, void *arg, struct err *err);
	void *arg;
};

/*
 * -1 only when the session could not be taken over; otherwise *ret_status is
 * the exit status of its outcome, and when that is not 0 err holds the one
 * line that says why.
 */
int engine_run(struct state *st, const struct engine_run *run,
	int *ret_status, struct err *err) __attribute__((warn_unused_result));

#endif
