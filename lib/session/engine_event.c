#include "lib/session/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/session/spent.h"
#include "lib/base/banned.h"

#define LOG_MAX ((int64_t)512 << 20) /* bytes of a transcript */

/* ---- hooks ---- */

#define EACH_HOOK(e, fn, ...)                                             \
	for (size_t i_ = 0; i_ < (e)->hooks; i_++)                        \
		if (engine_hooks[i_]->fn)                                 \
	engine_hooks[i_]->fn((e), (e)->own[i_], __VA_ARGS__)

void
hooks_env(struct engine *e, struct argv *ret, struct argv *args)
{
	EACH_HOOK(e, env, ret, args);
}

void
hooks_ask(struct engine *e, int64_t ask, const struct json *data)
{
	EACH_HOOK(e, ask, ask, data);
}

void
hooks_turn(struct engine *e, const struct json *result)
{
	EACH_HOOK(e, turn, result);
}

void
hooks_limited(struct engine *e, int64_t until)
{
	EACH_HOOK(e, limited, until);
}

/* ---- out ---- */

int
event_write(struct engine *e, const char *kind, struct json *data,
	struct err *err)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	CLEANUP_JSON struct json *kept = NULL;
	struct err none = ERR_INIT;
	int rc = hide_pieces(e, kind, &data, err);

	if (rc != 1) {
		json_free(data);
		return rc;
	}
	kept = json_get(data, "");
	if (transcript_add(&e->log, kind, data, &line, err))
		return -1;
	if (e->emitting && e->run->emit &&
		e->run->emit(line.s, line.len, e->run->arg, &none))
		e->emitting = false; /* our reader went away */
	EACH_HOOK(e, event, kind, kept);
	return 0;
}

void
engine_note(struct engine *e, const char *kind, struct json *data)
{
	struct err err = ERR_INIT;

	if (event_write(e, kind, data, &err))
		engine_fail(e, &err);
}

/* ---- in ---- */

/* Numbers of an agent: neither negative nor beyond what a row holds. */
static int64_t
count_of(const struct json *data, const char *key, double unit)
{
	double n = json_num(data, key, 0) * unit;

	return n > 0 && n < 9e15 ? (int64_t)(n + 0.5) : 0;
}

/* The provider's own figure, else what its models.json says. */
static int64_t
cost_of(const struct engine *e, const struct json *data)
{
	if (json_has(data, "cost_usd"))
		return count_of(data, "cost_usd", 1e6);
	return spent_price(&e->p, e->s.model,
		count_of(data, "input_tokens", 1),
		count_of(data, "output_tokens", 1));
}

static void
take_usage(struct engine *e, const struct json *data)
{
	static const struct session_usage none;
	const struct session_usage seen = {
		.cost_microusd = cost_of(e, data),
		.tokens_in = count_of(data, "input_tokens", 1),
		.tokens_out = count_of(data, "output_tokens", 1),
	};
	bool session = json_bool(data, "session", false);
	bool total = json_bool(data, "total", false) || session;
	const struct session_usage *base = session ? &none : &e->base;
	struct session_usage now;
	struct err err = ERR_INIT;

	e->s.cost_microusd = seen.cost_microusd +
		(total ? base->cost_microusd : e->s.cost_microusd);
	e->s.tokens_in = seen.tokens_in +
		(total ? base->tokens_in : e->s.tokens_in);
	e->s.tokens_out = seen.tokens_out +
		(total ? base->tokens_out : e->s.tokens_out);
	now = (struct session_usage){ .cost_microusd = e->s.cost_microusd,
		.tokens_in = e->s.tokens_in, .tokens_out = e->s.tokens_out,
		.turns = e->s.turns };
	if (session_used(e->db, e->s.id, &now, &err))
		log_warning("session.usage", "id", e->s.id, "error", err.msg,
			NULL);
	EACH_HOOK(e, usage, &now);
}

static void
keep(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
}

static void
take_status(struct engine *e, const struct json *data)
{
	const char *agent = json_str(data, "agent_session", NULL);
	const char *model = json_str(data, "model", NULL);
	const char *withdrawn = json_str(data, "withdrawn", NULL);
	struct err err = ERR_INIT;

	if (agent && (!e->s.agent_session ||
			     strcmp(agent, e->s.agent_session) != 0)) {
		keep(&e->s.agent_session, agent);
		if (session_agent_is(e->db, e->s.id, agent, model, &err))
			log_warning("session.agent", "id", e->s.id, "error",
				err.msg, NULL);
	}
	if (json_has(data, "limited_until"))
		e->limited_until = json_int(data, "limited_until", 0);
	if (withdrawn)
		ask_void(e, withdrawn);
}

static void
take_result(struct engine *e, const struct json *data)
{
	const char *reason = json_str(data, "reason", NULL);

	e->result = true;
	e->result_ok = json_bool(data, "ok", false);
	e->result_limit = json_bool(data, "limit", false);
	e->result_interrupted = json_bool(data, "interrupted", false);
	free(e->result_reason);
	e->result_reason = xstrdup_null(reason);
	if (e->result_reason)
		err_clean(e->result_reason);
	e->s.turns++;
}

int
event_take(const char *kind, struct json *data, void *engine,
	struct err *err)
{
	struct engine *e = engine;
	CLEANUP_JSON struct json *kept = NULL;

	if (!strcmp(kind, "ask"))
		return ask_raise(e, data, err);
	/* One that comes when no turn is open is only noted. */
	if (!strcmp(kind, "result") && (e->phase != PHASE_TURN || e->result))
		kind = "status";
	kept = json_get(data, "");
	if (!strcmp(kind, "result"))
		take_result(e, kept); /* turns counts it, for usage and hooks */
	if (event_write(e, kind, data, err))
		return -1;
	if (!strcmp(kind, "usage"))
		take_usage(e, kept);
	else if (!strcmp(kind, "status"))
		take_status(e, kept);
	else if (!strcmp(kind, "result"))
		hooks_turn(e, kept);
	if (e->log.size > LOG_MAX)
		return err_set(err, ERR_LIMIT,
			"the agent has filled the transcript: %d MiB",
			(int)(LOG_MAX >> 20));
	return 0;
}
