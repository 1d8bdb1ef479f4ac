#include "lib/runner/worker_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

#define PATH "/cirunner.agent.AgentService/AgentStream"
#define STATUS 30000 /* ms between two that nobody asked for */
#define NEWS_MAX 1024

static void
send(struct worker *w, Cirunner__Agent__AgentMessage *m)
{
	if (w->stream)
		(void)pb_send(w->stream, &m->base);
}

/* ---- status ---- */

static char *
borrow(const char *s)
{
	return (char *)(uintptr_t)s;
}

struct sets {
	Cirunner__Agent__LabelSet *v, **p;
	size_t n;
};

static void
sets_release(struct sets *s)
{
	free(s->v);
	free(s->p);
}

/* Each set of each pool, for matching is per set. */
static void
sets_fill(const struct worker *w, struct sets *s)
{
	size_t i, k, n = 0;

	for (i = 0; i < w->pools.n; i++)
		n += w->pools.v[i].nsets;
	s->v = xcalloc(n + 1, sizeof(*s->v));
	s->p = xcalloc(n + 1, sizeof(Cirunner__Agent__LabelSet *));
	for (i = 0; i < w->pools.n; i++)
		for (k = 0; k < w->pools.v[i].nsets; k++) {
			Cirunner__Agent__LabelSet *l = &s->v[s->n];

			cirunner__agent__label_set__init(l);
			l->labels = w->pools.v[i].sets[k].v;
			l->n_labels = w->pools.v[i].sets[k].n;
			s->p[s->n++] = l;
		}
}

struct vms {
	Cirunner__Agent__VmInfo *v, **p;
	size_t n;
};

static void
vms_release(struct vms *s)
{
	free(s->v);
	free(s->p);
}

static void
vms_fill(const struct worker *w, struct vms *s)
{
	static const char *const names[] = { [FAR_CREATING] = "creating",
		[FAR_RUNNING] = "running", [FAR_STOPPING] = "stopping" };
	size_t n = (size_t)far_count(w);
	const struct far *f;

	s->v = xcalloc(n + 1, sizeof(*s->v));
	s->p = xcalloc(n + 1, sizeof(Cirunner__Agent__VmInfo *));
	for (f = w->runners; f; f = f->next) {
		Cirunner__Agent__VmInfo *v = &s->v[s->n];

		cirunner__agent__vm_info__init(v);
		v->vm_id = v->name = f->name;
		v->state = borrow(names[f->state]);
		s->p[s->n++] = v;
	}
}

void
stream_status(struct worker *w)
{
	__attribute__((cleanup(sets_release))) struct sets sets = { .n = 0 };
	__attribute__((cleanup(vms_release))) struct vms vms = { .n = 0 };
	Cirunner__Agent__AgentStatus s = CIRUNNER__AGENT__AGENT_STATUS__INIT;
	Cirunner__Agent__AgentMessage m = CIRUNNER__AGENT__AGENT_MESSAGE__INIT;

	if (!w->stream)
		return;
	sets_fill(w, &sets);
	vms_fill(w, &vms);
	s.agent_id = w->member.id;
	s.hostname = w->host;
	/* The other coordinator knows two kinds. */
	s.agent_type = borrow(w->member.made_there ? "proxmox" : "vm");
	s.max_vms = (uint32_t)w->max;
	s.active_vms = (uint32_t)vms.n;
	s.available_slots = w->max > (int64_t)vms.n ?
		(uint32_t)(w->max - (int64_t)vms.n) : 0;
	s.label_sets = sets.p;
	s.n_label_sets = sets.n;
	if (sets.n) {
		s.labels = sets.p[0]->labels;
		s.n_labels = sets.p[0]->n_labels;
	}
	s.vms = vms.p;
	s.n_vms = vms.n;
	m.payload_case = CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_STATUS;
	m.status = &s;
	send(w, &m);
	loop_timer_set(w->loop, &w->status, loop_now(w->loop) + STATUS);
}

/* ---- events ---- */

static void
send_news(struct worker *w, const char *runner, int type, const char *why)
{
	Cirunner__Agent__RunnerEvent e = CIRUNNER__AGENT__RUNNER_EVENT__INIT;
	Cirunner__Agent__AgentMessage m = CIRUNNER__AGENT__AGENT_MESSAGE__INIT;

	e.runner_name = e.vm_id = borrow(runner);
	e.event_type = (Cirunner__Agent__RunnerEventType)type;
	e.error = borrow(why ? why : "");
	m.payload_case = CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_RUNNER_EVENT;
	m.runner_event = &e;
	send(w, &m);
}

void
stream_tell(struct worker *w, const char *runner, int type, const char *why)
{
	struct news *n, **end = &w->news;

	/* What is sent before the other end has spoken may be lost. */
	if (w->stream && w->up_at >= 0) {
		send_news(w, runner, type, why);
		return;
	}
	if (w->nnews >= NEWS_MAX)
		return; /* the next status tells who is gone */
	n = xcalloc(1, sizeof(*n));
	n->runner = xstrdup(runner);
	n->why = xstrdup_null(why);
	n->type = type;
	while (*end)
		end = &(*end)->next;
	*end = n;
	w->nnews++;
}

static void
drop_first(struct worker *w)
{
	struct news *n = w->news;

	w->news = n->next;
	w->nnews--;
	free(n->runner);
	free(n->why);
	free(n);
}

void
stream_up(struct worker *w)
{
	for (; w->stream && w->news; drop_first(w))
		send_news(w, w->news->runner, w->news->type, w->news->why);
}

void
stream_forget(struct worker *w)
{
	while (w->news)
		drop_first(w);
}

/* ---- commands ---- */

static void
send_ack(struct worker *w, const char *id, const struct err *err)
{
	Cirunner__Agent__CommandAck a = CIRUNNER__AGENT__COMMAND_ACK__INIT;
	Cirunner__Agent__AgentMessage m = CIRUNNER__AGENT__AGENT_MESSAGE__INIT;

	a.command_id = borrow(id);
	a.accepted = !err->code;
	a.error = borrow(err->code ? err->msg : "");
	m.payload_case = CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_ACK;
	m.ack = &a;
	send(w, &m);
}

static void
on_create(struct worker *w, const Cirunner__Agent__CreateRunnerCommand *c)
{
	struct err err = ERR_INIT;

	if (!*c->jit_config)
		(void)err_set(&err, ERR_INVALID,
			"this agent takes JIT configurations only, no "
			"registration tokens");
	else if (!far_create(w, c->vm_name, c->labels, c->n_labels,
			 c->jit_config, &err))
		log_info("runner.told", "name", c->vm_name, NULL);
	send_ack(w, c->command_id, &err);
	if (err.code)
		log_warning("runner.refused", "error", err.msg, NULL);
	stream_status(w);
}

static void
on_ping(struct worker *w)
{
	Cirunner__Agent__Pong p = CIRUNNER__AGENT__PONG__INIT;
	Cirunner__Agent__AgentMessage m = CIRUNNER__AGENT__AGENT_MESSAGE__INIT;

	m.payload_case = CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_PONG;
	m.pong = &p;
	send(w, &m);
	stream_status(w);
}

static void
on_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct worker *w = grpc_arg(call);
	Cirunner__Agent__CoordinatorMessage *m = pb_unpack(
		&cirunner__agent__coordinator_message__descriptor, p, n,
		&arena);

	if (!m)
		return;
	w->delay = 0; /* it is really there */
	switch (m->payload_case) {
	case CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_CREATE_RUNNER:
		on_create(w, m->create_runner);
		break;
	case CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_DESTROY_RUNNER:
		far_destroy(w, m->destroy_runner->vm_id);
		break;
	case CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_PING:
		on_ping(w);
		break;
	case CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD__NOT_SET:
	case _CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD__CASE_IS_INT_SIZE:
		break;
	}
}

/* The connection goes with its stream: what is dialled is the stream. */
static void
on_ended(struct grpc_call *call, int status, const char *why)
{
	struct worker *w = grpc_arg(call);

	w->stream = NULL;
	log_warning("agent.stream", "status", grpc_status_name(status),
		"error", why, NULL);
	loop_timer_clear(w->loop, &w->status);
	if (!w->redial.slot)
		loop_timer_set(w->loop, &w->redial, loop_now(w->loop));
}

void
stream_open(struct worker *w)
{
	static const struct grpc_handler handler = { .message = on_message,
		.ended = on_ended };

	w->stream = grpc_start(w->client, PATH, &handler, w, 0);
	stream_status(w);
}
