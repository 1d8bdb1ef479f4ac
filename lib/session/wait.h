/*
 * wait: until a session is in a state that somebody waits for.
 */
#ifndef FORGE_SESSION_WAIT_H
#define FORGE_SESSION_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/session/session.h"

enum wait_for {
	WAIT_OVER, /* the session has ended */
	WAIT_TURN, /* or nothing is left for the agent to do: idle */
	WAIT_ASK, /* or it waits for an answer */
};

/*
 * Sleeps until the row says so (woken by commits, no timer but one that
 * looks each second whether the supervisor died) or timeout ms passed, -1:
 * none; then ERR_TIMEOUT.  *ret is the row then.
 */
int session_wait(struct state *st, const char *id, enum wait_for what,
	int64_t timeout, struct session *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Is that what was waited for?  idle counts when no message waits. */
int session_reached(struct db *db, const struct session *s,
	enum wait_for what, bool *ret, struct err *err)
	__attribute__((warn_unused_result));

/* The exit status that tells of a session in this state. */
int session_exit_status(const struct session *s);

#endif
