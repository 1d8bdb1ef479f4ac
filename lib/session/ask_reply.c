#include "lib/session/on_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/ask.h"
#include "lib/session/session.h"
#include "lib/state/db.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* ---- why it is too late ---- */

static int
too_late(struct db *db, const struct ask *a, struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;

	if (!strcmp(a->state, "withdrawn") &&
		!session_get(db, a->session, &s, err) && session_over(s.state))
		return err_set(err, ERR_BUSY,
			"ask %" PRId64 " is void: session '%s' is %s", a->id,
			s.id, session_state_name(s.state));
	if (!strcmp(a->state, "withdrawn"))
		return err_set(err, ERR_BUSY,
			"ask %" PRId64 " is void: the agent withdrew it", a->id);
	return err_set(err, ERR_BUSY, "ask %" PRId64 " was %s by %.200s",
		a->id, a->state, a->answered_by ? a->answered_by : "somebody");
}

/* ---- choices ---- */

/* "2" is the second one; else one of them by its name; else free text. */
static char *
chosen(const struct json *options, const char *text)
{
	struct err ignored = ERR_INIT;
	size_t n = options ? json_len(options, "") : 0;
	CLEANUP_JSON struct json *one = NULL;
	int i;

	if (!n || parse_int(text, 1, (int)n, "a choice", &i, &ignored))
		return xstrdup(text);
	one = json_at(options, (size_t)i - 1);
	return xstrdup(json_str(one, "label",
		json_str(one, "name", json_str(one, "", text))));
}

/* Claude Code's AskUserQuestion: the answers go into the tool's input. */
static int
answer_questions(const struct ask *a, const char *const *choices,
	struct json *answer, struct err *err)
{
	CLEANUP_JSON struct json *list = json_get(a->data, "input.questions");
	struct json *input = json_get(a->data, "input"), *answers;
	size_t i, n = json_len(list, "");

	answers = json_object();
	for (i = 0; i < n && choices[i]; i++) {
		CLEANUP_JSON struct json *q = json_at(list, i);
		CLEANUP_JSON struct json *options = json_get(q, "options");
		CLEANUP_FREE char *text = chosen(options, choices[i]);

		json_put_str(answers, json_str(q, "question", ""), text);
	}
	json_put(input, "answers", answers);
	json_put(answer, "input", input);
	if (i == n && !choices[i])
		return 0;
	return err_set(err, ERR_INVALID,
		"ask %" PRId64 " has %zu questions: give --choice for each",
		a->id, n);
}

static int
answer_choices(const struct ask *a, const char *const *choices,
	struct json *answer, struct err *err)
{
	CLEANUP_JSON struct json *options = json_get(a->data, "choices");
	CLEANUP_FREE char *text = NULL;

	if (json_has(a->data, "input.questions"))
		return answer_questions(a, choices, answer, err);
	if (!ask_is_question(a->data))
		return err_set(err, ERR_INVALID, "ask %" PRId64 " is about "
			"the tool '%.80s': answer --allow or --deny", a->id,
			a->tool);
	if (choices[1])
		return err_set(err, ERR_INVALID,
			"ask %" PRId64 " is one question", a->id);
	text = chosen(options, choices[0]);
	json_put_str(answer, "message", text);
	return 0;
}

static int
make_answer(const struct ask *a, const struct ask_reply *reply,
	struct json *answer, struct err *err)
{
	if (reply->message)
		json_put_str(answer, "message", reply->message);
	if (reply->input)
		json_put(answer, "input", json_get(reply->input, ""));
	if (reply->choices && reply->choices[0])
		return answer_choices(a, reply->choices, answer, err);
	return 0;
}

/* ---- always ---- */

static int
make_rules(struct state *st, struct db *db, const struct ask *a, char **ret,
	struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	CLEANUP_JSON struct json *input = NULL;
	CLEANUP_FREE char *home = xasprintf("%s/session/%s/home",
		state_path(st), a->session);
	struct policy_use use;

	if (session_get(db, a->session, &s, err))
		return -1;
	use = ask_use(&s, a->data, home, &input);
	*ret = ask_is_question(a->data) ? NULL : policy_rules_for(&use);
	if (*ret)
		return 0;
	return err_set(err, ERR_INVALID,
		"no rule can be made of ask %" PRId64 ": leave out --always",
		a->id);
}

/* Whole lines, so two who answer at once do not mix. */
static int
keep_rules(struct state *st, const char *session, const char *rules,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("session/%s/policy", session);
	CLEANUP_CLOSE int fd = openat(state_dir(st), path,
		O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || write_all(fd, rules, strlen(rules)) || fsync(fd))
		return err_sys(err, "the answer is given, but '%s/%s' cannot "
			"be written", state_path(st), path);
	return 0;
}

int
ask_reply(struct state *st, int64_t id, const struct ask_reply *reply,
	struct err *err)
{
	CLEANUP_ASK struct ask a = ASK_INIT;
	CLEANUP_JSON struct json *answer = json_object();
	CLEANUP_FREE char *rules = NULL;
	struct err why = ERR_INIT;
	struct db *db;

	if (state_db(st, &db, err) || session_repair(st, NULL, err) ||
		ask_get(db, id, &a, err))
		return -1;
	if (strcmp(a.state, "open") != 0)
		return too_late(db, &a, err);
	if (make_answer(&a, reply, answer, err) ||
		(reply->always && make_rules(st, db, &a, &rules, err)))
		return -1;
	if (!ask_answer(st, id, reply->allow, answer, "user", &why))
		return rules ? keep_rules(st, a.session, rules, err) : 0;
	/* Somebody was faster: who? */
	ask_release(&a);
	if (why.code == ERR_BUSY && !ask_get(db, id, &a, err) &&
		strcmp(a.state, "open") != 0)
		return too_late(db, &a, err);
	*err = why;
	return -1;
}

int
ask_each(struct state *st, const char *session, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	static const char sql[] =
		"SELECT json_object('id', id, 'session', session, 'tool', tool,"
		" 'what', coalesce(data ->> '$.input.command',"
		"  data ->> '$.input.file_path', data ->> '$.input.path',"
		"  data ->> '$.input.url',"
		"  data ->> '$.input.questions[0].question',"
		"  data ->> '$.text',"
		"  data -> '$.input'),"
		" 'state', state, 'answered_by', answered_by,"
		" 'created_at', created_at, 'answered_at', answered_at,"
		" 'data', json(data), 'answer', json(answer))"
		" FROM ask WHERE (?1 IS NULL OR session = ?1)"
		" AND (?2 OR state = 'open') ORDER BY id";
	const struct db_value values[] = { DB_S(session), DB_I(all), DB_LAST };
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;

	if (state_db(st, &db, err) || session_repair(st, session, err) ||
		(session && session_get(db, session, &s, err)))
		return -1;
	return rows_each(db, sql, values, emit, arg, err);
}
