#include "lib/session/engine_internal.h"

#include <inttypes.h>

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/session/ask.h"
#include "lib/base/banned.h"

int
ask_raise(struct engine *e, struct json *data, struct err *err)
{
	CLEANUP_JSON struct json *kept = json_get(data, "");
	int64_t id;

	if (ask_create(e->db, e->s.id, kept, &id, err)) {
		json_free(data);
		return -1;
	}
	if (e->s.state == SESSION_RUNNING)
		e->s.state = SESSION_WAITING;
	json_put_int(data, "ask", id);
	if (event_write(e, "ask", data, err))
		return -1;
	hooks_ask(e, id, kept);
	return 0;
}

/* Nothing is open any more: it works again. */
static void
maybe_running(struct engine *e)
{
	struct err err = ERR_INIT;
	int64_t open = 0;

	if (e->s.state != SESSION_WAITING || e->phase != PHASE_TURN)
		return;
	if (ask_open_count(e->db, e->s.id, &open, &err))
		engine_fail(e, &err);
	else if (!open)
		engine_move(e, SESSION_RUNNING, NULL, NULL);
}

/* What in.jq is given, and the transcript. */
static struct json *
answer_data(const struct ask *a)
{
	static const char *const keys[] = { "message", "input", "always",
		"interrupt" };
	struct json *data = json_object();
	size_t i;

	json_put_int(data, "ask", a->id);
	json_put_str(data, "request", a->request);
	json_put_bool(data, "allow", !strcmp(a->state, "allowed"));
	json_put_str(data, "by", a->answered_by);
	json_put(data, "input", json_get(a->data, "input"));
	for (i = 0; a->answer && i < ARRAY_SIZE(keys); i++)
		if (json_has(a->answer, keys[i]))
			json_put(data, keys[i], json_get(a->answer, keys[i]));
	return data;
}

static int
deliver(struct engine *e, const struct ask *a, struct err *err)
{
	struct json *data = answer_data(a);
	struct json *tell = json_get(data, "");

	json_put(tell, "suggestions", json_get(a->data, "suggestions"));
	json_put(tell, "data", json_get(a->data, ""));
	if (event_write(e, "answer", data, err)) {
		json_free(tell);
		return -1;
	}
	if (agent_tell(e, "answer", tell, NULL, err))
		return -1;
	return ask_delivered(e->db, a->id, err);
}

void
ask_deliver(struct engine *e)
{
	struct err err = ERR_INIT;
	int rc = 1;

	while (e->phase == PHASE_TURN && rc == 1) {
		CLEANUP_ASK struct ask a = ASK_INIT;

		rc = ask_answered(e->db, e->s.id, &a, &err);
		if (rc == 1 && deliver(e, &a, &err))
			rc = -1;
	}
	if (rc < 0)
		engine_fail(e, &err);
	maybe_running(e);
}

void
ask_void(struct engine *e, const char *request)
{
	struct err err = ERR_INIT;

	if (ask_withdraw(e->db, e->s.id, request, &err))
		log_warning("session.ask", "id", e->s.id, "error", err.msg,
			NULL);
	maybe_running(e);
}

void
engine_answer(struct engine *e, int64_t ask, bool allow, struct json *answer,
	const char *by)
{
	struct err err = ERR_INIT;

	if (ask_answer(e->st, ask, allow, answer, by, &err) &&
		err.code != ERR_BUSY) /* somebody was faster */
		engine_fail(e, &err);
	json_free(answer);
	ask_deliver(e);
}
