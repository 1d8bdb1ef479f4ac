#include "lib/session/wait.h"

#include <errno.h>
#include <poll.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LOOK 1000 /* ms */

int
session_exit_status(const struct session *s)
{
	if (session_over(s->state))
		return s->status >= 0 ? s->status : EXIT_FAILED;
	return s->state == SESSION_WAITING ? EXIT_ANSWER : EXIT_OK;
}

int
session_reached(struct db *db, const struct session *s, enum wait_for what,
	bool *ret, struct err *err)
{
	static const char sql[] =
		"SELECT count(*) FROM message WHERE session = ?1 "
		"AND kind = 'message' AND delivered_at IS NULL";
	int64_t waiting = 0;

	*ret = session_over(s->state) ||
		(what == WAIT_ASK && s->state == SESSION_WAITING);
	if (*ret || what == WAIT_OVER || s->state != SESSION_IDLE)
		return 0;
	if (db_get_int(db, &waiting, sql, err, DB_S(s->id)))
		return -1;
	*ret = waiting == 0;
	return 0;
}

/* A supervisor that was killed commits nothing: look for it now and then. */
static int
sleep_until(int alarm, int64_t deadline, struct err *err)
{
	struct pollfd p = { .fd = alarm, .events = POLLIN };
	int left = clock_left(deadline);

	if (left < 0 || left > LOOK)
		left = LOOK;
	if (poll(&p, 1, left) < 0 && errno != EINTR)
		return err_sys(err, "poll");
	event_watch_clear(alarm);
	return 0;
}

int
session_wait(struct state *st, const char *id, enum wait_for what,
	int64_t timeout, struct session *ret, struct err *err)
{
	int64_t deadline = timeout < 0 ? -1 : clock_mono() + timeout;
	CLEANUP_CLOSE int alarm = -1;
	bool reached;
	struct db *db;

	if (state_db(st, &db, err) || event_watch_open(st, &alarm, err))
		return -1;
	for (;;) {
		session_release(ret);
		if (session_repair(st, id, err) ||
			session_get(db, id, ret, err) ||
			session_reached(db, ret, what, &reached, err))
			return -1;
		if (reached)
			return 0;
		if (deadline >= 0 && clock_left(deadline) == 0)
			return err_set(err, ERR_TIMEOUT,
				"session '%s' is still %s", id,
				session_state_name(ret->state));
		if (sleep_until(alarm, deadline, err))
			return -1;
	}
}
