/* What --on-done names, when a session has completed. */
#include "lib/session/worktree.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/session/done.h"
#include "lib/session/engine.h"
#include "lib/session/pull.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/base/banned.h"

int
worktree_check_actions(const char *actions, struct err *err)
{
	static const char *const known[] = { "commit", "push", "pr" };
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	size_t i, k;

	argv_splitc(&a, actions, ',');
	for (i = 0; i < a.n; i++) {
		for (k = 0; k < ARRAY_SIZE(known); k++)
			if (!strcmp(a.v[i], known[k]))
				break;
		if (k == ARRAY_SIZE(known))
			break;
	}
	return a.n && i == a.n ? 0 :
				 err_set(err, ERR_USAGE,
					 "--on-done '%.100s': commit, push and "
					 "pr are known", actions);
}

static int
collect(struct json *row, void *list)
{
	json_push(list, row);
	return 0;
}

/* "push" and "pr" want what they stand on; doing that twice does nothing. */
static int
act(struct state *st, const struct session *s, const char *action,
	struct json *pushed, struct json *requests, struct err *err)
{
	const struct pull_options o = { 0 };
	int n;

	if (worktree_commit(st, s, NULL, &n, err))
		return -1;
	if (!strcmp(action, "commit"))
		return 0;
	if (worktree_push(st, s, NULL, collect, pushed, err))
		return -1;
	return !strcmp(action, "push") ? 0 :
		pull_open(st, s, &o, collect, requests, err);
}

int
worktree_done(struct state *st, const struct session *s, const char *actions,
	struct json **ret, struct err *err)
{
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	struct json *pushed = json_array(), *requests = json_array();
	size_t i;
	int rc = 0;

	argv_splitc(&a, actions, ',');
	for (i = 0; !rc && i < a.n; i++)
		rc = act(st, s, a.v[i], pushed, requests, err);
	if (rc || !ret) {
		json_free(pushed);
		json_free(requests);
		return rc;
	}
	*ret = json_object();
	json_put(*ret, "pushed", pushed);
	json_put(*ret, "requests", requests);
	return 0;
}

/* ---- the engine's ---- */

static void
tell(struct engine *e, const char *why)
{
	const char *id = engine_session(e)->id;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct err err = ERR_INIT;
	struct json *data;

	log_error("session.ondone", "id", id, "error", why, NULL);
	if (db_begin(engine_db(e), &t, &err))
		return;
	data = json_object();
	json_put_str(data, "reason", why);
	if (!event_add(engine_db(e), "session.undone", id, data, &err) &&
		db_commit(&t, &err))
		log_error("session.ondone", "id", id, "error", err.msg, NULL);
}

static void
done_close(struct engine *e, void *own)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	const char *actions = json_str(engine_session(e)->options, "on_done",
		NULL);
	struct err err = ERR_INIT;

	(void)own;
	if (!actions)
		return;
	if (session_get(engine_db(e), engine_session(e)->id, &s, &err) ||
		(s.state == SESSION_COMPLETED &&
			worktree_done(engine_state(e), &s, actions, NULL,
				&err)))
		tell(e, err.msg);
}

const struct engine_hook done_hook = { .name = "done", .close = done_close };
