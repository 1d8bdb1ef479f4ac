/* The limits of one session: a hook of the engine. */
#include "lib/session/hooks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/spent.h"
#include "lib/base/banned.h"

struct limits {
	struct session_usage seen; /* what spent_add() knows */
	int64_t work_left; /* ms of --timeout; -1: no limit */
	int64_t work_since; /* monotonic; -1: no turn is open */
	int64_t idle_at; /* monotonic: --idle-timeout is over; -1 */
};

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void
set_timer(struct engine *e, struct limits *l)
{
	int64_t work = -1;

	if (l->work_left >= 0 && l->work_since >= 0)
		work = l->work_since + l->work_left;
	engine_timer(e, l, sooner(work, l->idle_at));
}

/* Something happened, or is going to when people or time say so. */
static void
set_idle(struct engine *e, struct limits *l)
{
	const struct session *s = engine_session(e);

	l->idle_at = s->idle_timeout_ms && s->state != SESSION_WAITING &&
			s->state != SESSION_LIMITED ?
		clock_mono() + s->idle_timeout_ms : -1;
}

static void
end(struct engine *e, const struct err *err)
{
	engine_end(e, SESSION_FAILED, err_status(err->code), "%s", err->msg);
}

/* ---- what it has used ---- */

static void
check_own(struct engine *e, const struct session_usage *u)
{
	const struct session *s = engine_session(e);
	int64_t tokens = u->tokens_in + u->tokens_out;

	if (s->max_cost_microusd && u->cost_microusd >= s->max_cost_microusd)
		engine_end(e, SESSION_FAILED, EXIT_LIMIT,
			"its budget is spent: $%.4f of $%.4f",
			(double)u->cost_microusd / 1e6,
			(double)s->max_cost_microusd / 1e6);
	else if (s->max_tokens && tokens >= s->max_tokens)
		engine_end(e, SESSION_FAILED, EXIT_LIMIT,
			"its tokens are used: %lld of %lld",
			(long long)tokens, (long long)s->max_tokens);
}

static void
limits_usage(struct engine *e, void *own, const struct session_usage *u)
{
	struct limits *l = own;
	int64_t cost = u->cost_microusd - l->seen.cost_microusd;
	int64_t tokens = u->tokens_in + u->tokens_out - l->seen.tokens_in -
		l->seen.tokens_out;
	struct err err = ERR_INIT;

	l->seen = *u;
	if ((cost > 0 || tokens > 0) && spent_add(engine_db(e),
			engine_session(e), cost > 0 ? cost : 0,
			tokens > 0 ? tokens : 0, &err)) {
		log_warning("session.spent", "error", err.msg, NULL);
		err = ERR_INIT;
	}
	check_own(e, u);
	if (spent_check(engine_state(e), engine_session(e), &err))
		end(e, &err);
}

/* Its last message is answered; one more would be one too many. */
static void
limits_turn(struct engine *e, void *own, const struct json *result)
{
	const struct session *s = engine_session(e);

	(void)own;
	(void)result;
	if (s->max_turns && s->turns >= s->max_turns &&
		!json_bool(s->options, "once", false))
		engine_end(e, SESSION_FAILED, EXIT_LIMIT,
			"it has answered %lld messages",
			(long long)s->turns);
}

/* ---- time ---- */

static void
limits_event(struct engine *e, void *own, const char *kind,
	const struct json *data)
{
	const struct session *s = engine_session(e);
	struct limits *l = own;
	int64_t now = clock_mono();

	(void)data;
	if (!strcmp(kind, "message")) {
		l->work_since = now;
		if (s->max_turns && s->turns >= s->max_turns)
			engine_end(e, SESSION_FAILED, EXIT_LIMIT,
				"it has answered %lld messages",
				(long long)s->turns);
	} else if (!strcmp(kind, "result") && l->work_since >= 0) {
		if (l->work_left >= 0)
			l->work_left -= now - l->work_since;
		if (l->work_left < 0 && s->timeout_ms)
			l->work_left = 0;
		l->work_since = -1;
	}
	set_idle(e, l);
	set_timer(e, l);
}

static void
limits_timer(struct engine *e, void *own)
{
	const struct session *s = engine_session(e);
	struct limits *l = own;
	char text[32];

	if (l->work_left >= 0 && l->work_since >= 0 &&
		clock_left(l->work_since + l->work_left) == 0) {
		engine_end(e, SESSION_FAILED, EXIT_LIMIT,
			"it has worked for %s", format_duration(s->timeout_ms,
				text, sizeof(text)));
	} else if (s->state == SESSION_WAITING || s->state == SESSION_LIMITED) {
		l->idle_at = -1; /* an event sets it again */
		set_timer(e, l);
	} else if (l->idle_at >= 0 && clock_left(l->idle_at) == 0) {
		bool idle = s->state == SESSION_IDLE;

		engine_end(e, idle ? SESSION_COMPLETED : SESSION_FAILED,
			idle ? EXIT_OK : EXIT_LIMIT,
			"nothing has happened for %s",
			format_duration(s->idle_timeout_ms, text,
				sizeof(text)));
	} else {
		set_timer(e, l);
	}
}

/* ---- beginning and end ---- */

static int
limits_open(struct engine *e, void **ret_own, struct err *err)
{
	const struct session *s = engine_session(e);
	struct limits *l;

	if (spent_check(engine_state(e), s, err))
		return -1;
	l = xcalloc(1, sizeof(*l));
	*ret_own = l;
	l->seen = (struct session_usage){ .cost_microusd = s->cost_microusd,
		.tokens_in = s->tokens_in, .tokens_out = s->tokens_out };
	l->work_left = s->timeout_ms ? s->timeout_ms : -1;
	l->work_since = -1;
	l->idle_at = -1;
	check_own(e, &l->seen);
	return 0;
}

static void
limits_close(struct engine *e, void *own)
{
	(void)e;
	free(own);
}

const struct engine_hook hook_limits = {
	.name = "limits",
	.open = limits_open,
	.event = limits_event,
	.usage = limits_usage,
	.turn = limits_turn,
	.timer = limits_timer,
	.close = limits_close,
};
