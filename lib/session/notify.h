/*
 * notify: events delivered to others: as signed webhooks, through ntfy, or
 * to a command.  forge-config(5) has the keys of [notify "NAME"].
 *
 *	notify_names(c, &names)
 *	notify_run(st, names.v[i], &how, err)	one process for each
 *
 * Each channel has a row with the number of the last event it was told, so
 * an outage of the other side, or of ours, loses nothing: delivery goes on
 * where it stopped, in order.  A row is written after the other side has
 * taken the event; one killed between the two delivers it again, with the
 * same seq in its body.
 *
 * A delivery that fails is tried again after 1, 5, 30 and 60 s, then every 60
 * s; after five failures the channel counts as down (event notify.down, and
 * notify.up at the next success).  An answer 4xx is final, but for 408 and
 * 429: event notify.refused, and the next one.  Events of kind notify.* are
 * never delivered.
 *
 * The webhook's headers, of BODY exactly as sent:
 *	X-Forge-Timestamp: seconds since 1970
 *	X-Forge-Signature: sha256=HMAC-SHA256(secret, timestamp "." BODY)
 *	X-Forge-Event, X-Forge-Delivery: kind and seq of the event
 */
#ifndef FORGE_SESSION_NOTIFY_H
#define FORGE_SESSION_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct config;
struct argv;

#define NOTIFY_DOWN 5 /* failures in a row */

struct notify_how {
	bool follow; /* until SIGTERM or SIGINT; else to the end of the log */
	int64_t since; /* deliver (again) what came after; -1: where we were */
};

/* The channels of the configuration, in its order. */
void notify_names(struct config *c, struct argv *ret);

/*
 * Deliver to one channel.  ERR_NOTFOUND: no such channel; ERR_BUSY: another
 * process delivers to it; without follow ERR_NET: it cannot be delivered to
 * now, with when to try again.
 */
int notify_run(struct state *st, const char *name,
	const struct notify_how *how, struct err *err)
	__attribute__((warn_unused_result));

/* One event of kind "test" that is in no log, now; ERR_NET when it fails. */
int notify_test(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* Of each: name, state (up, failing, down), seq, behind (how many events),
 * sent, refused, failures, retry_at, error. */
int notify_each(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
