#include "lib/session/engine_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/session/worktree.h"
#include "lib/base/banned.h"

#define LIMIT_MAX ((int64_t)8 * 24 * 3600000) /* ms that a limit may last */

/* ---- the beginning of a turn ---- */

static struct json *
message_data(const struct engine *e)
{
	struct json *data = json_object();

	json_put_str(data, "text", e->message.text);
	if (e->message.id)
		json_put_int(data, "id", e->message.id);
	return data;
}

/* What revert goes back to. */
static int
snapshot(struct engine *e, struct err *err)
{
	struct json *data;

	if (!e->s.repo)
		return 0;
	if (worktree_snapshot(e->st, &e->s, e->s.turns + 1, &data, err))
		return -1;
	return event_write(e, "snapshot", data, err);
}

/*
 * The agent starts before the row and the transcript are written: it takes
 * its time, too.  They are there before anything of it is read.
 */
static int
begin(struct engine *e, struct err *err)
{
	bool fresh = !e->agent.pid;

	e->result = e->result_ok = e->result_limit = false;
	e->result_interrupted = e->interrupted = false;
	e->limited_until = 0;
	e->limit_wanted = e->taken = false;
	free(steal_ptr(&e->again));
	e->deadline = -1;
	e->phase = PHASE_TURN;
	if (snapshot(e, err) || keeper_turn(e, err) || (fresh && agent_start(e, err)))
		return -1;
	if (!(fresh && e->p.prompt.n) &&
		agent_tell(e, "message", message_data(e), NULL, err))
		return -1;
	if (e->p.per_turn)
		agent_close_stdin(e);
	engine_move(e, SESSION_RUNNING, NULL, NULL);
	if (event_write(e, "message", message_data(e), err))
		return -1;
	return 0;
}

int
turn_taken(struct engine *e, struct err *err)
{
	if (e->taken || !e->message.id)
		return 0;
	e->taken = true;
	return message_delivered(e->db, e->message.id, err);
}

static void
begin_turn(struct engine *e)
{
	struct err err = ERR_INIT;

	if (begin(e, &err))
		engine_fail(e, &err);
}

/*
 * A session that goes on after its agent was cut off in a turn: an agent that
 * knows what it did is told to go on, another gets the last message again.
 */
static int
message_to_go_on(struct engine *e, struct err *err)
{
	static const char sql[] =
		"SELECT text FROM message WHERE session = ?1 AND "
		"kind = 'message' ORDER BY id DESC LIMIT 1";
	const char *again = provider_key(&e->p, "continue");

	if (e->s.agent_session && (e->p.resume.n || again)) {
		e->message.text = xstrdup(
			again ? again : "Continue from where you left off.");
		return 1;
	}
	if (!db_get_text(e->db, &e->message.text, sql, err, DB_S(e->s.id)))
		return 1;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 0;
}

static void
nothing_to_do(struct engine *e)
{
	if (!json_bool(e->s.options, "once", false))
		return;
	if (!e->result)
		engine_end(e, SESSION_FAILED, EXIT_FAILED,
			"there is no message for the agent");
	else if (e->result_ok)
		engine_end(e, SESSION_COMPLETED, EXIT_OK, "%s", "");
	else
		engine_end(e, SESSION_FAILED,
			e->result_limit ? EXIT_LIMIT : EXIT_FAILED, "%s",
			e->result_reason ? e->result_reason :
					   "the agent failed");
}

void
turn_next(struct engine *e)
{
	struct err err = ERR_INIT;
	int rc;

	if (e->phase != PHASE_IDLE)
		return;
	message_release(&e->message);
	rc = message_next(e->db, e->s.id, MESSAGE_TEXT, &e->message, &err);
	if (!rc && e->resumed)
		rc = message_to_go_on(e, &err);
	e->resumed = false;
	if (rc < 0) {
		engine_fail(e, &err);
	} else if (rc) {
		begin_turn(e);
	} else {
		if (e->s.state == SESSION_PENDING)
			engine_move(e, SESSION_RUNNING, NULL, NULL);
		if (e->s.state == SESSION_RUNNING &&
			!json_bool(e->s.options, "once", false))
			engine_move(e, SESSION_IDLE, NULL, NULL);
		nothing_to_do(e);
	}
}

/* ---- its end ---- */

/* A limit of the agent's API, and the turn came to nothing for it. */
static bool
is_limited(const struct engine *e)
{
	int64_t now = clock_wall();

	if (e->limit_wanted)
		return true;
	return !e->result_ok && !e->interrupted && e->limited_until > now &&
		e->limited_until < now + LIMIT_MAX;
}

static void
tell_idle(struct engine *e)
{
	struct json *data = json_object();

	json_put_bool(data, "ok", e->result_ok);
	json_put_int(data, "turns", e->s.turns);
	json_put_num(data, "cost_usd", (double)e->s.cost_microusd / 1e6);
	engine_move(e, SESSION_IDLE,
		e->result_ok ? NULL : e->result_reason, data);
}

void
turn_over(struct engine *e)
{
	const struct session_usage now = { .turns = e->s.turns,
		.cost_microusd = e->s.cost_microusd,
		.tokens_in = e->s.tokens_in, .tokens_out = e->s.tokens_out };
	struct err err = ERR_INIT;

	if (e->phase != PHASE_TURN)
		return;
	e->deadline = -1;
	ask_void(e, NULL);
	if (keeper_sync(e, &err) || turn_taken(e, &err) || transcript_sync(&e->log, &err) ||
		session_used(e->db, e->s.id, &now, &err)) {
		engine_fail(e, &err);
		return;
	}
	e->phase = PHASE_IDLE;
	if (is_limited(e))
		engine_limit(e, e->limited_until,
			e->result_reason ? e->result_reason : "rate limit",
			e->again);
	else
		tell_idle(e);
}

void
turn_result(struct engine *e, bool ok, const char *reason)
{
	struct json *data = json_object();
	struct err err = ERR_INIT;

	json_put_bool(data, "ok", ok);
	if (reason)
		json_put_str(data, "reason", reason);
	if (e->interrupted)
		json_put_bool(data, "interrupted", true);
	if (event_take("result", data, e, &err))
		engine_fail(e, &err);
}

/* ---- limits ---- */

void
engine_limit(struct engine *e, int64_t until, const char *reason,
	const char *again)
{
	struct err err = ERR_INIT;

	if (e->phase == PHASE_TURN) {
		free(e->again);
		e->again = xstrdup_null(again);
		e->limited_until = until;
		e->limit_wanted = true;
	}
	if (e->phase != PHASE_IDLE)
		return;
	if (session_limit(e->db, e->s.id, until, reason, &err)) {
		engine_fail(e, &err);
		return;
	}
	e->s.state = SESSION_LIMITED;
	e->s.limited_until = until;
	e->phase = PHASE_LIMITED;
	if (again != e->again) {
		free(e->again);
		e->again = xstrdup_null(again);
	}
	e->deadline = clock_mono() + (until - clock_wall());
	hooks_limited(e, until);
}

void
turn_still_limited(struct engine *e)
{
	int64_t until = e->s.limited_until;

	if (e->phase != PHASE_IDLE || until <= clock_wall())
		return;
	engine_move(e, SESSION_RUNNING, NULL, NULL);
	engine_limit(e, until, "rate limit", NULL);
}

void
turn_limit_over(struct engine *e)
{
	e->deadline = -1;
	e->phase = PHASE_IDLE;
	if (e->again) {
		message_release(&e->message);
		e->message.text = steal_ptr(&e->again);
	}
	e->message.id = 0; /* it was delivered before */
	if (e->message.text)
		begin_turn(e);
}

/* ---- what people want ---- */

void
turn_interrupt(struct engine *e)
{
	struct json *data;
	struct err err = ERR_INIT;
	bool sent = false;

	if (e->phase != PHASE_TURN || e->result)
		return;
	e->interrupted = true;
	e->deadline = clock_mono() + INTERRUPT_GRACE;
	if (!e->p.signal) {
		data = json_object();
		json_put_int(data, "n", ++e->interrupts);
		if (agent_tell(e, "interrupt", data, &sent, &err)) {
			engine_fail(e, &err);
			return;
		}
	}
	if (!sent)
		proc_kill(&e->agent, e->p.signal ? e->p.signal : SIGINT);
}

void
engine_interrupt(struct engine *e)
{
	turn_interrupt(e);
}

static int
wish(struct engine *e, enum message_kind kind, struct err *err)
{
	CLEANUP_MESSAGE struct message m = MESSAGE_INIT;
	int rc = message_next(e->db, e->s.id, kind, &m, err);

	if (rc == 1 && message_delivered(e->db, m.id, err))
		return -1;
	return rc;
}

void
turn_wishes(struct engine *e)
{
	struct err err = ERR_INIT;
	int stop = wish(e, MESSAGE_STOP, &err);
	int interrupt = stop < 0 ? -1 : wish(e, MESSAGE_INTERRUPT, &err);

	if (interrupt < 0) {
		engine_fail(e, &err);
		return;
	}
	if (stop)
		engine_end(e, SESSION_STOPPED, EXIT_SIGNAL + SIGTERM,
			"stopped");
	else if (interrupt)
		turn_interrupt(e);
	ask_deliver(e);
}
