#include "lib/stream/internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/trust/cert.h"
#include "lib/trust/token.h"
#include "lib/base/banned.h"

#define LABELS 64 /* of a set, and sets */
#define VMS 1024

/* ---- who may ---- */

static bool
allowed(struct stream *s, const struct tls_peer *peer, struct err *err)
{
	if (peer->kind == TLS_PEER_NONE)
		(void)err_set(err, ERR_AUTH,
			"a client certificate is required (mTLS)");
	else if (peer->kind == TLS_PEER_BAD)
		(void)err_set(err, ERR_AUTH,
			"the client certificate is refused: %s", peer->why);
	else if (!cert_check(s->db, peer->serial, peer->name, NULL, err))
		return true;
	else if (err->code == ERR_AUTH)
		(void)err_wrap(err,
			"Agent not registered or has been revoked");
	return false;
}

bool
agent_allowed(struct stream *s, struct grpc_call *call)
{
	struct err err = ERR_INIT;

	if (allowed(s, &grpc_peer(call)->tls, &err))
		return true;
	grpc_finish(call, err.code == ERR_AUTH ? GRPC_UNAUTHENTICATED :
						 GRPC_UNAVAILABLE,
		"%s", err.msg);
	return false;
}

/* ---- the table ---- */

struct agent *
agent_find(struct stream *s, const char *name)
{
	struct agent *a, *host = NULL;

	for (a = s->agents; a; a = a->next) {
		if (!strcmp(a->id, name))
			return a;
		if (a->host && !strcmp(a->host, name))
			host = a;
	}
	return host;
}

static void
clear_sets(struct agent *a)
{
	size_t i;

	for (i = 0; i < a->nsets; i++)
		argv_release(&a->sets[i]);
	free(a->sets);
	a->sets = NULL;
	a->nsets = 0;
}

static void
agent_free(struct agent *a)
{
	loop_timer_clear(a->s->loop, &a->timer);
	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	clear_sets(a);
	argv_release(&a->names);
	argv_release(&a->ids);
	free(a->id);
	free(a->serial);
	free(a->address);
	free(a->host);
	free(a->kind);
	free(a);
}

void
agent_leave(struct agent *a)
{
	if (!a->call && !a->serve)
		agent_free(a);
}

static void on_timer(struct loop_timer *t);

struct agent *
agent_get(struct stream *s, struct grpc_call *call)
{
	const struct grpc_peer *peer = grpc_peer(call);
	struct agent *a;

	for (a = s->agents; a && strcmp(a->id, peer->tls.name) != 0;)
		a = a->next;
	if (!a) {
		a = xcalloc(1, sizeof(*a));
		a->s = s;
		a->id = xstrdup(peer->tls.name);
		a->names = ARGV_INIT;
		a->ids = ARGV_INIT;
		a->timer.fire = on_timer;
		a->next = s->agents;
		if (a->next)
			a->next->prev = &a->next;
		a->prev = &s->agents;
		s->agents = a;
	}
	free(a->serial);
	free(a->address);
	a->serial = xstrdup(peer->tls.serial);
	a->address = xstrdup(peer->address);
	a->expires_at = peer->tls.expires_at;
	return a;
}

int
agent_free_slots(const struct agent *a)
{
	int64_t left = (int64_t)a->max - a->vms;

	/* It knows best; but it may not have seen ours yet. */
	if (a->slots < left)
		left = a->slots;
	return (int)left - places_unlisted(a);
}

static bool
serves(const struct agent *a, const struct argv *labels)
{
	size_t i, k, n;

	for (i = 0; i < a->nsets; i++) {
		const struct argv *set = &a->sets[i];

		for (k = 0; k < labels->n; k++) {
			for (n = 0; n < set->n; n++)
				if (!strcasecmp(set->v[n], labels->v[k]))
					break;
			if (n == set->n)
				break;
		}
		if (k == labels->n)
			return true;
	}
	return !labels->n;
}

struct agent *
agent_choose(struct stream *s, const char *on, const struct argv *labels)
{
	struct agent *a, *best = NULL;

	for (a = s->agents; a; a = a->next) {
		if (!a->call || !a->first || agent_free_slots(a) < 1)
			continue;
		if (strcmp(on, "*") != 0 && strcmp(on, a->id) != 0 &&
			(!a->host || strcmp(on, a->host) != 0))
			continue;
		if (serves(a, labels) && (!best || agent_free_slots(a) >
						   agent_free_slots(best)))
			best = a;
	}
	return best;
}

void
agents_check(struct stream *s)
{
	struct agent *a, *next;

	for (a = s->agents; a; a = next) {
		struct err err = ERR_INIT;

		next = a->next;
		if (!cert_check(s->db, a->serial, a->id, NULL, &err) ||
			err.code != ERR_AUTH)
			continue;
		if (a->serve)
			grpc_finish(a->serve, GRPC_UNAUTHENTICATED,
				"Agent not registered or has been revoked");
		if (a->call)
			grpc_finish(a->call, GRPC_UNAUTHENTICATED,
				"Agent not registered or has been revoked: "
				"%s", err.msg);
	}
}

void
agents_free(struct stream *s)
{
	struct agent *a, *next;

	for (a = s->agents; a; a = next) {
		next = a->next;
		agent_free(a);
	}
}

/* ---- the stream ---- */

static void
tell(struct agent *a, Cirunner__Agent__CoordinatorMessage *m)
{
	(void)pb_send(a->call, &m->base);
}

static void
ping(struct agent *a)
{
	Cirunner__Agent__Ping p = CIRUNNER__AGENT__PING__INIT;
	Cirunner__Agent__CoordinatorMessage m =
		CIRUNNER__AGENT__COORDINATOR_MESSAGE__INIT;

	m.payload_case = CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_PING;
	m.ping = &p;
	a->pinged = stream_now(a->s);
	tell(a, &m);
}

static void
schedule(struct agent *a)
{
	int64_t at = a->pinged + AGENT_PING;

	if (!a->first)
		at = a->heard + AGENT_FIRST;
	else if (a->heard + AGENT_STALE < at)
		at = a->heard + AGENT_STALE;
	loop_timer_set(a->s->loop, &a->timer, at);
}

static void
on_timer(struct loop_timer *t)
{
	struct agent *a = (struct agent *)(void *)((char *)t -
		offsetof(struct agent, timer));
	int64_t now = stream_now(a->s);

	if (!a->call)
		return;
	if (!a->first)
		grpc_finish(a->call, GRPC_DEADLINE_EXCEEDED,
			"No initial message received within 30 s");
	else if (now >= a->heard + AGENT_STALE)
		grpc_finish(a->call, GRPC_DEADLINE_EXCEEDED,
			"nothing was heard for 120 s");
	else if (clock_wall() >= a->expires_at)
		grpc_finish(a->call, GRPC_UNAUTHENTICATED,
			"the client certificate has expired");
	else {
		ping(a);
		schedule(a);
	}
}

static int
compare(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void
lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s += 'a' - 'A';
}

/* True when it is another set than before. */
static bool
put_set(struct argv *set, char **labels, size_t n)
{
	struct argv now = ARGV_INIT;
	bool same;
	size_t i;

	for (i = 0; i < n && i < LABELS; i++) {
		CLEANUP_FREE char *label = xstrndup(labels[i], 256);

		lower(label);
		argv_push(&now, label);
	}
	if (now.n)
		qsort(now.v, now.n, sizeof(*now.v), compare);
	same = now.n == set->n;
	for (i = 0; same && i < now.n; i++)
		same = !strcmp(now.v[i], set->v[i]);
	argv_release(set);
	*set = now;
	return !same;
}

static bool
put_sets(struct agent *a, const Cirunner__Agent__AgentStatus *st)
{
	size_t i, n = st->n_label_sets < LABELS ? st->n_label_sets : LABELS;
	bool changed;

	/* Older agents have one flat list. */
	changed = a->nsets != (n ? n : 1);
	if (changed) {
		clear_sets(a);
		a->nsets = n ? n : 1;
		a->sets = xcalloc(a->nsets, sizeof(*a->sets));
		for (i = 0; i < a->nsets; i++)
			a->sets[i] = ARGV_INIT;
	}
	if (!n)
		return put_set(&a->sets[0], st->labels, st->n_labels) ||
			changed;
	for (i = 0; i < n; i++)
		changed |= put_set(&a->sets[i], st->label_sets[i]->labels,
			st->label_sets[i]->n_labels);
	return changed;
}

static bool
put_text(char **text, const char *s)
{
	if (*text && !strcmp(*text, s))
		return false;
	free(*text);
	*text = xstrndup(s, 255);
	err_clean(*text);
	return true;
}

static bool
put_number(uint32_t *n, uint32_t now)
{
	bool changed = *n != now;

	*n = now;
	return changed;
}

static void
take_status(struct agent *a, const Cirunner__Agent__AgentStatus *st)
{
	bool changed = put_sets(a, st);
	size_t i;

	changed |= put_text(&a->host, *st->hostname ? st->hostname : a->id);
	changed |= put_number(&a->max, st->max_vms);
	changed |= put_number(&a->slots, st->available_slots);
	changed |= put_number(&a->active, st->active_vms);
	a->vms = (uint32_t)(st->n_vms < VMS ? st->n_vms : VMS);
	argv_release(&a->names);
	argv_release(&a->ids);
	for (i = 0; i < a->vms; i++) {
		argv_push(&a->names, st->vms[i]->name);
		argv_push(&a->ids, st->vms[i]->vm_id);
	}
	if (changed)
		note_report(a);
	places_listed(a);
	strays_look(a);
}

static void
first_status(struct agent *a, const Cirunner__Agent__AgentMessage *m)
{
	struct err err = ERR_INIT;

	if (m->payload_case !=
		CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_STATUS) {
		grpc_finish(a->call, GRPC_INVALID_ARGUMENT,
			"First message must be a status message");
		return;
	}
	free(a->kind);
	a->kind = xstrdup(m->status->agent_type);
	lower(a->kind);
	if (token_kind(a->kind, "agent_type", &err)) {
		grpc_finish(a->call, GRPC_INVALID_ARGUMENT, "%s", err.msg);
		return;
	}
	a->first = true;
	note_connected(a);
	take_status(a, m->status);
	grpc_accept(a->call);
	ping(a);
	schedule(a);
	places_agent(a, true);
}

static void
take_message(struct agent *a, const Cirunner__Agent__AgentMessage *m)
{
	switch (m->payload_case) {
	case CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_STATUS:
		take_status(a, m->status);
		break;
	case CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_ACK:
		place_acked(a, m->ack->command_id, m->ack->accepted,
			m->ack->error);
		break;
	case CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_RUNNER_EVENT:
		place_event(a, m->runner_event->runner_name,
			(int)m->runner_event->event_type,
			m->runner_event->error);
		break;
	case CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_RESULT:
	case CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_PONG:
	case CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD__NOT_SET:
	case _CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD__CASE_IS_INT_SIZE:
		break;
	}
}

static void
on_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct agent *a = grpc_arg(call);
	Cirunner__Agent__AgentMessage *m = pb_unpack(
		&cirunner__agent__agent_message__descriptor, p, n, &arena);

	if (!m) {
		grpc_finish(call, GRPC_INVALID_ARGUMENT,
			"the message is not an AgentMessage");
		return;
	}
	a->heard = stream_now(a->s);
	if (!a->first) {
		first_status(a, m);
		return;
	}
	take_message(a, m);
	if (a->heard - a->noted >= AGENT_SEEN)
		note_seen(a);
}

static void
on_half_closed(struct grpc_call *call)
{
	const struct agent *a = grpc_arg(call);

	if (a->first)
		grpc_finish(call, GRPC_OK, NULL);
	else
		grpc_finish(call, GRPC_INVALID_ARGUMENT,
			"No initial message received");
}

static void
on_ended(struct grpc_call *call, int status, const char *why)
{
	struct agent *a = grpc_arg(call);

	loop_timer_clear(a->s->loop, &a->timer);
	a->call = NULL;
	if (a->first) {
		note_gone(a, *why ? why : grpc_status_name(status));
		places_agent(a, false);
	}
	a->first = false;
	agent_leave(a);
}

void
agent_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = on_message,
		.half_closed = on_half_closed, .ended = on_ended };
	struct stream *s = arg;
	struct agent *a;

	if (!agent_allowed(s, call))
		return;
	a = agent_get(s, call);
	if (a->call) { /* half of the old connection may be dead */
		grpc_handle(a->call, NULL, NULL);
		grpc_finish(a->call, GRPC_ABORTED,
			"another stream of this agent has come");
	}
	a->call = call;
	a->first = false;
	a->heard = stream_now(s);
	grpc_handle(call, &handler, a);
	schedule(a);
}
