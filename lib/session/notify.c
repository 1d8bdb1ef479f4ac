#include "lib/session/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/signals.h"
#include "lib/session/notify_channel.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define SKIP_MAX 1000 /* events passed by until the row says so */

struct notifier {
	struct state *st;
	struct db *db;
	struct channel channel;
	int64_t seq; /* all up to here are delivered, or not wanted */
	int64_t saved; /* the row's seq */
	int64_t failures;
	int64_t retry_at; /* wall ms; 0: now */
	char error[512]; /* of the last failure */
	struct err *err;
	int signals; /* -1: none */
	int alarm; /* of new events; -1: none */
	bool stop;
};

/* ---- its row ---- */

static int
load(struct notifier *n, int64_t since, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	/* A channel that is new is told what happens from now on. */
	if (db_run(n->db, "INSERT INTO channel (name, seq, updated_at)"
		" SELECT ?1, coalesce(max(seq), 0), ?2 FROM event WHERE true"
		" ON CONFLICT DO NOTHING", NULL, err,
		DB_S(n->channel.name), DB_I(clock_wall())))
		return -1;
	if (since >= 0 && db_run(n->db, "UPDATE channel SET seq = ?,"
		" retry_at = 0 WHERE name = ?", NULL, err,
		DB_I(since), DB_S(n->channel.name)))
		return -1;
	if (db_query(n->db, &r, "SELECT seq, failures, retry_at,"
		" coalesce(error, '') FROM channel WHERE name = ?", err,
		DB_S(n->channel.name)))
		return -1;
	rc = db_next(r, err);
	if (rc != 1)
		return rc;
	n->seq = n->saved = db_int(r, 0);
	n->failures = db_int(r, 1);
	n->retry_at = db_int(r, 2);
	(void)snprintf(n->error, sizeof(n->error), "%s", db_text(r, 3));
	return 0;
}

static int
tell(struct notifier *n, const char *kind, int64_t seq, struct err *err)
{
	struct json *data = json_object();

	json_put_int(data, "seq", seq);
	json_put_int(data, "failures", n->failures);
	if (n->error[0])
		json_put_str(data, "error", n->error);
	return event_add(n->db, kind, n->channel.name, data, err);
}

/* Where we are, and with it what there is to tell of it (kind, or NULL). */
static int
save(struct notifier *n, int sent, int refused, const char *kind,
	int64_t seq, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(n->db, &t, err) ||
		db_run(n->db, "UPDATE channel SET seq = ?, failures = ?,"
			" retry_at = ?, error = nullif(?, ''),"
			" sent = sent + ?, refused = refused + ?,"
			" updated_at = ? WHERE name = ?", NULL, err,
			DB_I(n->seq), DB_I(n->failures), DB_I(n->retry_at),
			DB_S(n->error), DB_I(sent), DB_I(refused),
			DB_I(clock_wall()), DB_S(n->channel.name)))
		return -1;
	if (kind && tell(n, kind, seq, err))
		return -1;
	if (db_commit(&t, err))
		return -1;
	n->saved = n->seq;
	return 0;
}

/* ---- one event ---- */

static int
was_taken(struct notifier *n, int64_t seq, bool refused, struct err *err)
{
	bool up = n->failures >= NOTIFY_DOWN;

	n->seq = seq;
	n->failures = n->retry_at = 0;
	if (!refused)
		n->error[0] = '\0';
	return save(n, !refused, refused,
		refused ? "notify.refused" : up ? "notify.up" : NULL, seq, err);
}

static int
has_failed(struct notifier *n, int64_t seq, int64_t retry_after,
	struct err *err)
{
	static const int64_t waits[] = { 1, 5, 30, 60 };
	size_t i = (size_t)n->failures;
	int64_t wait = waits[i < ARRAY_SIZE(waits) ? i :
						     ARRAY_SIZE(waits) - 1];

	if (retry_after > wait)
		wait = retry_after < 3600 ? retry_after : 3600;
	n->failures++;
	n->retry_at = clock_wall() + wait * 1000;
	return save(n, 0, 0, n->failures == NOTIFY_DOWN ? "notify.down" : NULL,
		seq, err);
}

/* A signal that came while we waited for the other side: it has not said
 * no. */
static bool
was_told_to_stop(struct notifier *n)
{
	while (n->signals >= 0 && signals_next(n->signals))
		n->stop = true;
	return n->stop;
}

static int
deliver(struct json *event, void *arg)
{
	CLEANUP_JSON struct json *owned = event;
	struct notifier *n = arg;
	int64_t seq = json_int(owned, "seq", 0), retry_after;
	struct err why = ERR_INIT;
	enum sent sent;

	if (!channel_wants(&n->channel, json_str(owned, "kind", ""))) {
		n->seq = seq;
		if (n->seq - n->saved < SKIP_MAX)
			return 0;
		return save(n, 0, 0, NULL, 0, n->err);
	}
	sent = channel_send(&n->channel, owned, &retry_after, &why);
	if (was_told_to_stop(n) && sent == SENT_FAILED)
		return 1;
	if (sent != SENT_OK) {
		(void)snprintf(n->error, sizeof(n->error), "%s", why.msg);
		/* Without follow a failure is the caller's error. */
		if (n->alarm >= 0 || sent == SENT_REFUSED)
			log_warning("notify", "channel", n->channel.name,
				"error", why.msg, NULL);
	}
	if (sent == SENT_FAILED)
		return has_failed(n, seq, retry_after, n->err) ? -1 : 1;
	if (was_taken(n, seq, sent == SENT_REFUSED, n->err))
		return -1;
	return n->stop;
}

/* ---- all of them ---- */

/* To the end of the log, or to a failure. */
static int
pass(struct notifier *n, struct err *err)
{
	int64_t since = n->seq;

	if (n->retry_at > clock_wall())
		return 0;
	n->retry_at = 0;
	n->err = err;
	return event_each(n->db, &since, deliver, n, err) < 0 ? -1 : 0;
}

static int
await(struct notifier *n, struct err *err)
{
	struct pollfd fds[] = { { .fd = n->signals, .events = POLLIN },
		{ .fd = n->retry_at ? -1 : n->alarm, .events = POLLIN } };
	int64_t left = n->retry_at - clock_wall();
	int64_t at = n->retry_at ? clock_mono() + (left > 0 ? left : 0) : -1;

	if (poll(fds, ARRAY_SIZE(fds), clock_left(at)) < 0 && errno != EINTR)
		return err_sys(err, "poll");
	event_watch_clear(n->alarm);
	(void)was_told_to_stop(n);
	return 0;
}

static int
follow(struct notifier *n, struct err *err)
{
	static const int list[] = { SIGTERM, SIGINT, 0 };

	if (signals_open(list, &n->signals, err) ||
		event_watch_open(n->st, &n->alarm, err))
		return -1;
	n->channel.cancel = n->signals + 1;
	while (!n->stop)
		if (pass(n, err) || (!n->stop && await(n, err)))
			return -1;
	return 0;
}

static int
once(struct notifier *n, struct err *err)
{
	char wait[32];

	if (pass(n, err))
		return -1;
	if (!n->retry_at)
		return 0;
	return err_set(err, ERR_NET, "%s (failure %d); next try in %s",
		n->error, (int)n->failures,
		format_duration(n->retry_at - clock_wall(), wait,
			sizeof(wait)));
}

static int
run(struct notifier *n, const struct notify_how *how, struct err *err)
{
	int rc;

	if (load(n, how->since, err))
		return -1;
	rc = how->follow ? follow(n, err) : once(n, err);
	if (n->seq != n->saved) {
		struct err ignored = ERR_INIT;

		/* Only saves looking at them again. */
		(void)save(n, 0, 0, NULL, 0, rc ? &ignored : err);
	}
	return rc;
}

int
notify_run(struct state *st, const char *name, const struct notify_how *how,
	struct err *err)
{
	struct notifier n = { .st = st, .channel = CHANNEL_INIT,
		.signals = -1, .alarm = -1 };
	CLEANUP_CLOSE int lock = -1;
	int rc;

	if (parse_name(name, "a channel", err) || state_db(st, &n.db, err) ||
		channel_open(st, name, &n.channel, err))
		return -1;
	if (state_lock(st, "channel", name, 0, 0, &lock, err)) {
		rc = err->code != ERR_BUSY ? -1 :
			err_set(err, ERR_BUSY, "another forge-watch notify "
				"delivers to '%s'", name);
	} else {
		rc = run(&n, how, err);
	}
	cleanup_close(&n.signals);
	cleanup_close(&n.alarm);
	channel_release(&n.channel);
	return rc;
}

/* ---- the rest ---- */

void
notify_names(struct config *c, struct argv *ret)
{
	config_names(c, "notify", ret);
}

int
notify_test(struct state *st, const char *name, struct err *err)
{
	CLEANUP_JSON struct json *event = json_object();
	CLEANUP_CHANNEL struct channel c = CHANNEL_INIT;
	struct json *data = json_object();
	int64_t retry_after;

	json_put_str(data, "reason", "this is a test");
	json_put_int(event, "seq", 0);
	json_put_int(event, "at", clock_wall());
	json_put_str(event, "kind", "test");
	json_put_str(event, "subject", name);
	json_put(event, "data", data);
	if (channel_open(st, name, &c, err))
		return -1;
	if (channel_send(&c, event, &retry_after, err) == SENT_OK)
		return 0;
	err->code = ERR_NET;
	return -1;
}

static int
each_row(struct db *db, const char *name,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	const struct db_value values[] = { DB_S(name), DB_I(NOTIFY_DOWN),
		DB_LAST };

	return rows_each(db, "SELECT json_object('name', n.name,"
		" 'state', CASE WHEN c.failures >= ?2 THEN 'down'"
		"  WHEN c.failures > 0 THEN 'failing' ELSE 'up' END,"
		" 'seq', c.seq, 'behind', coalesce((SELECT max(seq) FROM event),"
		"  0) - c.seq, 'sent', coalesce(c.sent, 0),"
		" 'refused', coalesce(c.refused, 0),"
		" 'failures', coalesce(c.failures, 0),"
		" 'retry_at', nullif(c.retry_at, 0), 'error', c.error)"
		" FROM (SELECT ?1 AS name) AS n"
		" LEFT JOIN channel AS c ON c.name = n.name",
		values, emit, arg, err);
}

int
notify_each(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	struct db *db;
	size_t i;
	int rc = 0;

	if (state_db(st, &db, err) || state_config(st, &c, err))
		return -1;
	notify_names(c, &names);
	for (i = 0; i < names.n && !rc; i++)
		rc = each_row(db, names.v[i], emit, arg, err);
	return rc;
}
