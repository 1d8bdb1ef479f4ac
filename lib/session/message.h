/*
 * message: what people tell a session: text for its agent, or that its turn
 * or the session itself shall end.
 *
 * It is a row first, so nothing is lost when the supervisor dies; then the
 * supervisor is woken by a bell: the closing of session/ID/bell, which every
 * writer opens before its transaction and closes after it.  The kernel rings
 * for a writer that is killed in between.
 *
 *	int bell = -1;
 *	session_bell_open(st, id, &bell, err)
 *	... a transaction that the supervisor must see ...
 *	close(bell);
 */
#ifndef FORGE_SESSION_MESSAGE_H
#define FORGE_SESSION_MESSAGE_H

#include <stdint.h>
#include "lib/base/err.h"

struct state;
struct db;

enum message_kind {
	MESSAGE_TEXT, /* for the agent, when its turn is over */
	MESSAGE_INTERRUPT, /* end its turn now */
	MESSAGE_STOP, /* end the session */
	MESSAGE_KIND__MAX
};

#define MESSAGE_MAX (8u << 20) /* bytes of a text */

struct message {
	int64_t id;
	enum message_kind kind;
	char *text; /* or NULL */
};
#define MESSAGE_INIT ((struct message){ 0 })
void message_release(struct message *m);
#define CLEANUP_MESSAGE __attribute__((cleanup(message_release)))

/*
 * Keep it for the session and ring.  ERR_NOTFOUND; ERR_BUSY when the session
 * is over: it must be resumed first.
 */
int message_send(struct state *st, const char *session,
	enum message_kind kind, const char *text, struct err *err)
	__attribute__((warn_unused_result));

/* Inside a transaction: the row alone. */
int message_add(struct db *db, const char *session, enum message_kind kind,
	const char *text, struct err *err)
	__attribute__((warn_unused_result));

/* The oldest of that kind that waits; 1 there is one, 0 none, -1. */
int message_next(struct db *db, const char *session, enum message_kind kind,
	struct message *ret, struct err *err)
	__attribute__((warn_unused_result));
int message_delivered(struct db *db, int64_t id, struct err *err)
	__attribute__((warn_unused_result));

int session_bell_open(struct state *st, const char *session, int *ret_fd,
	struct err *err) __attribute__((warn_unused_result));
/* The supervisor's side: an inotify fd, readable when it rang. */
int session_bell_watch(struct state *st, const char *session, int *ret_fd,
	struct err *err) __attribute__((warn_unused_result));

#endif
