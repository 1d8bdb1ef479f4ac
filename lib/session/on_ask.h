/*
 * on_ask: who answers what an agent asks: rules first (policy.h), then what
 * --on-ask says, else people.
 *
 * Of the session's options:
 *	policy	array of paths: files of rules, read when it begins
 *	on_ask	"allow", "deny", "fail" (end the session, status 9), "wait"
 *		(default: for people), or "wait=30m": then fail
 * To these come the file of session.policy of the configuration, and
 * STATE/session/ID/policy, which `forge-session answer --always` adds to and
 * which is read again for each ask.
 *
 * A question is no tool: rules and "allow" do not answer it.
 */
#ifndef FORGE_SESSION_ON_ASK_H
#define FORGE_SESSION_ON_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/session/policy.h"

struct state;
struct db;
struct ask;
struct session;

enum on_ask { ON_ASK_WAIT, ON_ASK_ALLOW, ON_ASK_DENY, ON_ASK_FAIL };

/* ERR_USAGE; *ret_wait: ms, 0 for ever. */
int on_ask_parse(const char *text, enum on_ask *ret, int64_t *ret_wait,
	struct err *err) __attribute__((warn_unused_result));

/* Does it ask something that is no permission?  data as in the transcript. */
bool ask_is_question(const struct json *data);

/* What the ask is about, for policy_decide(): borrows of the three. */
struct policy_use ask_use(const struct session *s, const struct json *data,
	const char *home, struct json **ret_input);

/* ---- people ---- */

struct ask_reply {
	bool allow;
	const char *message; /* or NULL */
	struct json *input; /* instead of what was asked for; or NULL */
	const char *const *choices; /* to a question; ended by NULL, or NULL */
	bool always; /* the same is allowed from now on */
};

/*
 * Answer ask id as a person.  ERR_NOTFOUND; ERR_BUSY: it was answered, or
 * withdrawn, or its session is over, and the message says which;
 * ERR_INVALID: no such choice, or no rule can be made of it.
 */
int ask_reply(struct state *st, int64_t id, const struct ask_reply *reply,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Those that are open, or with all every one, oldest first; session NULL: of
 * all sessions.  Sessions that died are repaired first.
 */
int ask_each(struct state *st, const char *session, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
