#include "lib/session/on_ask.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/engine.h"
#include "lib/session/hooks.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

struct asker {
	struct policy *policy; /* of files that do not change */
	enum on_ask mode;
	int64_t wait; /* ms; 0: for ever */
	int64_t fail_at; /* monotonic; -1: not */
	char *own; /* path of the session's own rules, below the state */
	char *home;
};

int
on_ask_parse(const char *text, enum on_ask *ret, int64_t *ret_wait,
	struct err *err)
{
	static const char *const names[] = {
		[ON_ASK_WAIT] = "wait",
		[ON_ASK_ALLOW] = "allow",
		[ON_ASK_DENY] = "deny",
		[ON_ASK_FAIL] = "fail",
	};
	size_t i;

	*ret_wait = 0;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i])) {
			*ret = (enum on_ask)i;
			return 0;
		}
	if (strncmp(text, "wait=", 5) != 0)
		return err_set(err, ERR_USAGE,
			"--on-ask '%s': write allow, deny, fail, wait or "
			"wait=DURATION", text);
	*ret = ON_ASK_WAIT;
	return parse_duration(text + 5, "--on-ask wait", ret_wait, err);
}

bool
ask_is_question(const struct json *data)
{
	const char *tool = json_str(data, "tool", NULL);

	return !tool || json_has(data, "input.questions");
}

struct policy_use
ask_use(const struct session *s, const struct json *data, const char *home,
	struct json **ret_input)
{
	*ret_input = json_get(data, "input");
	return (struct policy_use){ .tool = json_str(data, "tool", ""),
		.input = *ret_input, .cwd = s->dir ? s->dir : "/",
		.home = home,
		/* Elsewhere the paths are not of this host. */
		.resolve = !strcmp(s->place, "here") ||
			!strcmp(s->place, "bwrap") };
}

/* ---- when the session begins ---- */

static int
read_files(struct asker *a, const struct json *list, struct err *err)
{
	size_t i, n = list ? json_len(list, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *path = json_at(list, i);

		if (policy_read(a->policy, AT_FDCWD, json_str(path, "", ""),
			    err))
			return -1;
	}
	return 0;
}

static void
ask_close(struct engine *e, void *own)
{
	struct asker *a = own;

	(void)e;
	policy_free(a->policy);
	free(a->own);
	free(a->home);
	free(a);
}

static int
read_all(struct engine *e, struct asker *a, struct err *err)
{
	const struct session *s = engine_session(e);
	CLEANUP_JSON struct json *files = json_get(s->options, "policy");
	const char *path;
	struct config *c;

	if (on_ask_parse(json_str(s->options, "on_ask", "wait"), &a->mode,
		    &a->wait, err) ||
		state_config(engine_state(e), &c, err))
		return -1;
	path = config_str(c, "session", NULL, "policy", NULL);
	if (path && policy_read(a->policy, AT_FDCWD, path, err))
		return err_wrap(err, "session.policy");
	return read_files(a, files, err);
}

static int
ask_open(struct engine *e, void **ret_own, struct err *err)
{
	const struct session *s = engine_session(e);
	struct asker *a = xcalloc(1, sizeof(*a));

	a->fail_at = -1;
	a->policy = policy_new();
	a->own = xasprintf("session/%s/policy", s->id);
	a->home = xasprintf("%s/session/%s/home", state_path(engine_state(e)),
		s->id);
	if (read_all(e, a, err)) {
		ask_close(e, a);
		return -1;
	}
	*ret_own = a;
	return 0;
}

/* ---- one ask ---- */

static void
deny(struct engine *e, int64_t id, const char *why, const char *by)
{
	struct json *answer = json_object();

	json_put_str(answer, "message", why);
	engine_answer(e, id, false, answer, by);
}

/* Rules of files, and the session's own; a mistake in the latter is told,
 * and a person is asked. */
static enum policy_verdict
decide(struct engine *e, struct asker *a, const struct json *data,
	char **ret_rule)
{
	CLEANUP_POLICY struct policy *own = policy_new();
	CLEANUP_JSON struct json *input = NULL;
	CLEANUP_FREE char *other = NULL;
	const struct policy_use use = ask_use(engine_session(e), data, a->home,
		&input);
	enum policy_verdict v, v2;
	struct err err = ERR_INIT;

	if (policy_read(own, state_dir(engine_state(e)), a->own, &err) &&
		err.code != ERR_NOTFOUND) {
		struct json *note = json_object();

		json_put_str(note, "text", err.msg);
		engine_note(e, "error", note);
	}
	v = policy_decide(a->policy, &use, ret_rule);
	v2 = policy_decide(own, &use, &other);
	if (v2 <= v) /* the enum is in the order of their force */
		return v;
	free(*ret_rule);
	*ret_rule = steal_ptr(&other);
	return v2;
}

static void
fail(struct engine *e, int64_t id, const struct json *data)
{
	engine_end(e, SESSION_FAILED, EXIT_ANSWER,
		"nobody answers ask %lld: %s", (long long)id,
		json_str(data, "tool", json_str(data, "text", "a question")));
}

static void
by_mode(struct engine *e, struct asker *a, int64_t id,
	const struct json *data)
{
	switch (a->mode) {
	case ON_ASK_ALLOW:
		if (ask_is_question(data))
			fail(e, id, data);
		else
			engine_answer(e, id, true, NULL, "on-ask");
		break;
	case ON_ASK_DENY:
		deny(e, id, "Nobody is there to ask.", "on-ask");
		break;
	case ON_ASK_FAIL:
		fail(e, id, data);
		break;
	case ON_ASK_WAIT:
		if (!a->wait || a->fail_at >= 0)
			break;
		a->fail_at = clock_mono() + a->wait;
		engine_timer(e, a, a->fail_at);
		break;
	}
}

static void
ask_asked(struct engine *e, void *own, int64_t id, const struct json *data)
{
	CLEANUP_FREE char *rule = NULL;
	struct asker *a = own;
	enum policy_verdict v = ask_is_question(data) ?
		POLICY_NONE : decide(e, a, data, &rule);
	CLEANUP_FREE char *by = xasprintf("policy %s", rule ? rule : "");
	CLEANUP_FREE char *why = xasprintf("Denied by a rule: %s",
		rule ? rule : "");

	err_clean(by);
	if (v == POLICY_ALLOW)
		engine_answer(e, id, true, NULL, by);
	else if (v == POLICY_DENY)
		deny(e, id, why, by);
	else
		by_mode(e, a, id, data);
}

/* The oldest was not answered in time; or it was, and the next one counts
 * from its own beginning. */
static void
ask_timer(struct engine *e, void *own)
{
	static const char sql[] =
		"SELECT coalesce(min(created_at), 0) FROM ask"
		" WHERE session = ? AND state = 'open'";
	struct asker *a = own;
	struct err err = ERR_INIT;
	int64_t oldest, late;

	a->fail_at = -1;
	if (db_get_int(engine_db(e), &oldest, sql, &err,
		    DB_S(engine_session(e)->id)) || !oldest)
		return;
	late = oldest + a->wait - clock_wall();
	if (late <= 0) {
		engine_end(e, SESSION_FAILED, EXIT_ANSWER,
			"nobody answered in time; see 'forge-session asks %s "
			"--all'", engine_session(e)->id);
		return;
	}
	a->fail_at = clock_mono() + late;
	engine_timer(e, a, a->fail_at);
}

const struct engine_hook hook_on_ask = {
	.name = "ask",
	.open = ask_open,
	.ask = ask_asked,
	.timer = ask_timer,
	.close = ask_close,
};
