#include "lib/runner/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/sd.h"
#include "lib/base/signals.h"
#include "lib/net/tls.h"
#include "lib/runner/worker_internal.h"
#include "lib/state/config.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define DELAY_FIRST 1000 /* ms */
#define DELAY_MAX 60000
#define STABLE 30000 /* ms up, then delays begin anew */
#define RENEW_AGAIN 60000 /* ms after one that failed */
#define RENEW_LOOK 3600000 /* ms: clocks are set, hosts sleep */

static void dial(struct worker *w);

/* ---- dialling ---- */

/* 1 s, 2 s ... 60 s, each a third more or less, so that a thousand agents
 * do not come back at once. */
static void
dial_later(struct worker *w)
{
	uint16_t r;

	if (w->up_at >= 0 && loop_now(w->loop) - w->up_at > STABLE)
		w->delay = 0;
	w->up_at = -1;
	w->delay = w->delay ? w->delay * 2 : DELAY_FIRST;
	if (w->delay > DELAY_MAX)
		w->delay = DELAY_MAX;
	random_bytes(&r, sizeof(r));
	loop_timer_set(w->loop, &w->redial, loop_now(w->loop) +
		w->delay * 2 / 3 + w->delay * 2 / 3 * r / 65536);
}

static void
hang_up(struct worker *w)
{
	struct grpc_client *c = w->client;

	/* The ends of these calls come later, perhaps after new ones began. */
	if (w->stream)
		grpc_handle(w->stream, NULL, NULL);
	if (w->serve)
		grpc_handle(w->serve, NULL, NULL);
	loop_timer_clear(w->loop, &w->status);
	w->stream = w->serve = NULL;
	w->client = NULL;
	grpc_client_close(c);
}

static void
on_up(struct grpc_client *c, void *arg)
{
	struct worker *w = arg;

	(void)c;
	w->up_at = loop_now(w->loop);
	log_info("agent.connected", "url", w->member.url, NULL);
	stream_up(w);
}

static void
on_down(struct grpc_client *c, const struct err *why, void *arg)
{
	struct worker *w = arg;

	(void)c;
	log_warning("agent.lost", "url", w->member.url, "error", why->msg,
		NULL);
	hang_up(w);
	dial_later(w);
}

static void
on_redial(struct loop_timer *t)
{
	struct worker *w = CONTAINER(t, struct worker, redial);

	/* The stream ended, and its connection may still be there. */
	if (w->client) {
		hang_up(w);
		dial_later(w);
		return;
	}
	dial(w);
}

static void
dial(struct worker *w)
{
	struct grpc_client_options o = { .host = w->member.host,
		.port = w->member.port, .up = on_up, .down = on_down,
		.arg = w };
	struct err err = ERR_INIT;
	int rc;

	if (member_tls(&w->member, &o.tls, &err)) {
		log_error("agent.tls", "error", err.msg, NULL);
		dial_later(w);
		return;
	}
	rc = grpc_client_open(w->loop, &o, &w->client, &err);
	tls_free(o.tls);
	if (rc) {
		log_warning("agent.dial", "url", w->member.url, "error",
			err.msg, NULL);
		w->client = NULL;
		dial_later(w);
		return;
	}
	stream_open(w);
	serve_start(w);
}

/* ---- timers, signals, events ---- */

static void
on_status(struct loop_timer *t)
{
	stream_status(CONTAINER(t, struct worker, status));
}

/* The coordinator ends a stream with its certificate: dial before that,
 * but not while commands hang on the connection. */
static void
use_renewed(struct worker *w)
{
	if (w->commands)
		return;
	w->renewed = false;
	if (!w->client)
		return; /* whoever dials next shows it */
	hang_up(w);
	w->up_at = -1;
	w->delay = 0;
	loop_timer_set(w->loop, &w->redial, loop_now(w->loop));
}

/* The next certificate is asked for on a connection of its own. */
static void
on_renew(struct loop_timer *t)
{
	struct worker *w = CONTAINER(t, struct worker, renew);
	int64_t at = member_renew_at(&w->member), wait = RENEW_LOOK;
	int64_t now = clock_wall();
	struct err err = ERR_INIT;

	if (now >= at && !w->member.made_there) {
		if (member_renew(w->st, &w->member, &err)) {
			log_warning("agent.renew", "error", err.msg, NULL);
			wait = RENEW_AGAIN;
		} else {
			log_info("agent.renewed", "id", w->member.id, NULL);
			w->renewed = true;
		}
		at = member_renew_at(&w->member);
	}
	if (at > now && at - now < wait)
		wait = at - now;
	if (w->renewed)
		use_renewed(w);
	if (w->renewed && wait > RENEW_AGAIN)
		wait = RENEW_AGAIN;
	/* One that is good for seconds is for tests, and no reason to spin. */
	loop_timer_set(w->loop, t, loop_now(w->loop) +
		(wait > 500 ? wait : 500));
}

static void
on_signal(struct loop_fd *l, uint32_t events)
{
	struct worker *w = CONTAINER(l, struct worker, signals);

	(void)events;
	while (signals_next(l->fd))
		loop_stop(w->loop);
}

static void
on_events(struct loop_fd *l, uint32_t events)
{
	(void)events;
	event_watch_clear(l->fd);
	far_look(CONTAINER(l, struct worker, events));
}

/* ---- life ---- */

static int
capacity(struct worker *w, struct err *err)
{
	struct config *config;
	int64_t limit, sum = 0;
	size_t i;

	if (state_config(w->st, &config, err) ||
		pools_load(w->st, &w->pools, err) ||
		config_int(config, "forge", NULL, "max-vms", INT32_MAX, &limit,
			err))
		return -1;
	for (i = 0; i < w->pools.n; i++)
		sum += w->pools.v[i].max;
	w->max = sum < limit ? sum : limit;
	argv_splitc(&w->places, config_str(config, "agent", NULL, "places",
		""), ',');
	return 0;
}

static int
open_all(struct worker *w, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, 0 };
	char host[256] = "";

	if (state_db(w->st, &w->db, err) ||
		member_load(w->st, &w->member, err) ||
		state_lock(w->st, "agent", NULL, 0, 0, &w->lock, err) ||
		capacity(w, err) || loop_open(&w->loop, err) ||
		signals_open(signals, &w->signals.fd, err) ||
		loop_add(w->loop, &w->signals, EPOLLIN, err) ||
		event_watch_open(w->st, &w->events.fd, err) ||
		loop_add(w->loop, &w->events, EPOLLIN, err) ||
		far_adopt(w, err))
		return -1;
	if (gethostname(host, sizeof(host) - 1))
		return err_sys(err, "cannot read the name of this host");
	w->host = xstrdup(host);
	return 0;
}

static void
close_all(struct worker *w)
{
	if (w->loop) {
		hang_up(w);
		commands_free(w);
		far_free_all(w);
		loop_close(w->loop);
	}
	stream_forget(w);
	cleanup_close(&w->signals.fd);
	cleanup_close(&w->events.fd);
	cleanup_close(&w->lock);
	pools_release(&w->pools);
	argv_release(&w->places);
	member_release(&w->member);
	free(w->host);
}

int
worker_run(struct state *st, struct err *err)
{
	struct worker w = { .st = st, .lock = -1, .up_at = -1,
		.places = ARGV_INIT, .member = MEMBER_INIT,
		.signals = { .fd = -1, .ready = on_signal },
		.events = { .fd = -1, .ready = on_events },
		.redial.fire = on_redial, .status.fire = on_status,
		.renew.fire = on_renew };
	int rc = open_all(&w, err);

	if (!rc) {
		sd_notify("READY=1");
		on_renew(&w.renew);
		dial(&w);
		rc = loop_run(w.loop, err);
	}
	close_all(&w);
	return rc;
}
