#include "lib/session/follow.h"

#include <errno.h>
#include <poll.h>

#include "lib/base/mem.h"
#include "lib/session/session.h"
#include "lib/session/transcript.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LOOK 1000 /* ms */

static int
drain(struct transcript_reader *r,
	int (*emit)(const char *lines, size_t n, void *arg, struct err *err),
	void *arg, struct err *err)
{
	const char *lines;
	size_t n;
	int rc;

	while ((rc = transcript_lines(r, &lines, &n, err)) == 1) {
		rc = emit(lines, n, arg, err);
		if (rc)
			return rc;
	}
	return rc;
}

/*
 * The log wakes for lines, the alarm for a change of the row, and the clock
 * for a supervisor that was killed.  *row is set when the row may be another.
 */
static int
sleep_for(struct transcript_reader *r, int alarm, struct follow_input *in,
	bool *row, struct err *err)
{
	struct pollfd p[] = { { .fd = transcript_fd(r), .events = POLLIN },
		{ .fd = alarm, .events = POLLIN },
		{ .fd = in ? in->fd : -1, .events = POLLIN } };
	int n = poll(p, ARRAY_SIZE(p), LOOK);

	if (n < 0 && errno != EINTR)
		return err_sys(err, "poll");
	transcript_clear(r);
	event_watch_clear(alarm);
	*row = n <= 0 || p[1].revents;
	return in && p[2].revents ? in->ready(in, err) : 0;
}

static int
is_over(struct state *st, const char *id, bool *ret, struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;

	if (state_db(st, &db, err) || session_repair(st, id, err) ||
		session_get(db, id, &s, err))
		return -1;
	*ret = session_over(s.state);
	return 0;
}

int
session_follow(struct state *st, const char *id, int64_t since, bool follow,
	int (*emit)(const char *lines, size_t n, void *arg, struct err *err),
	void *arg, struct follow_input *in, struct err *err)
{
	CLEANUP_TRANSCRIPT struct transcript_reader *r = NULL;
	CLEANUP_CLOSE int alarm = -1;
	bool look = true, over = !follow;
	int rc;

	if (transcript_follow(st, id, since, &r, err) ||
		event_watch_open(st, &alarm, err))
		return -1;
	for (;;) {
		/* Asked before the last lines are read: none is missed. */
		if (follow && look && is_over(st, id, &over, err))
			return -1;
		rc = drain(r, emit, arg, err);
		if (rc || over)
			return rc;
		rc = sleep_for(r, alarm, in, &look, err);
		if (rc)
			return rc;
	}
}
