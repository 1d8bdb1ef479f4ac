#include "lib/stream/internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define STATUS_PLACE 125

/* ---- who takes commands ---- */

static void
serve_half_closed(struct grpc_call *call)
{
	grpc_finish(call, GRPC_OK, NULL);
}

static void
serve_ended(struct grpc_call *call, int status, const char *why)
{
	struct agent *a = grpc_arg(call);

	(void)status;
	(void)why;
	a->serve = NULL;
	agent_leave(a);
}

void
serve_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.half_closed = serve_half_closed, .ended = serve_ended };
	struct agent *a;

	if (!agent_allowed(arg, call))
		return;
	a = agent_get(arg, call);
	if (a->serve) {
		grpc_handle(a->serve, NULL, NULL);
		grpc_finish(a->serve, GRPC_ABORTED,
			"another stream of this agent has come");
	}
	a->serve = call;
	grpc_handle(call, &handler, a);
	grpc_accept(call);
}

/* ---- offers ---- */

void
command_offer(struct place *p, const char *on,
	const Forge__Agent__V1__PlaceStart *start)
{
	struct agent *a = agent_find(p->s, on);
	Forge__Agent__V1__RunOffer offer = FORGE__AGENT__V1__RUN_OFFER__INIT;

	if (!a || !a->serve) {
		CLEANUP_FREE char *line = xasprintf("%s '%s'",
			a ? "no commands can be run on agent" :
			    "no connected agent",
			on);

		err_clean(line);
		place_status(p, STATUS_PLACE, line);
		return;
	}
	p->agent = xstrdup(a->id);
	p->id = random_name(20);
	offer.id = p->id;
	offer.name = start->name;
	offer.place = start->place;
	offer.argv = start->argv;
	offer.n_argv = start->n_argv;
	offer.env = start->env;
	offer.n_env = start->n_env;
	offer.cpus = start->cpus;
	offer.memory = start->memory;
	p->state = PLACE_SENT;
	loop_timer_set(p->s->loop, &p->timer,
		stream_now(p->s) + ACK_TIMEOUT);
	(void)pb_send(a->serve, &offer.base);
}

/* ---- to the agent ---- */

/* Who sends faster than the other end reads waits: nothing is kept here but
 * the window of HTTP/2. */
static void
pass(struct grpc_call *from, struct grpc_call *to, ProtobufCMessage *m)
{
	if (pb_send(to, m) && grpc_queued(to) > GRPC_QUEUE_LOW)
		grpc_pause(from, true);
}

void
command_input(struct place *p, Forge__Agent__V1__RunInput *in)
{
	if (p->run)
		pass(p->call, p->run, &in->base);
}

/* The place's program has read: the agent may go on. */
void
command_drained(struct place *p)
{
	if (p->run)
		grpc_pause(p->run, false);
}

void
command_over(struct place *p)
{
	struct grpc_call *run = p->run;

	if (!run)
		return;
	p->run = NULL;
	grpc_handle(run, NULL, NULL);
	grpc_finish(run, GRPC_CANCELLED, "the command is not wanted any more");
}

/* ---- from the agent ---- */

static void
run_output(struct grpc_call *call, const void *bytes, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct place *p = grpc_arg(call);
	Forge__Agent__V1__RunOutput *m = pb_unpack(
		&forge__agent__v1__run_output__descriptor, bytes, n, &arena);

	if (!m) {
		grpc_finish(call, GRPC_INVALID_ARGUMENT,
			"the message is not a RunOutput");
		return;
	}
	if (m->payload_case == FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STATUS) {
		p->run = NULL;
		grpc_handle(call, NULL, NULL);
		grpc_finish(call, GRPC_OK, NULL);
		place_status(p, m->status, NULL);
	} else if (m->payload_case ==
			FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDOUT ||
		m->payload_case ==
			FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDERR) {
		pass(call, p->call, &m->base);
	}
}

static void
run_drained(struct grpc_call *call)
{
	struct place *p = grpc_arg(call);

	grpc_pause(p->call, false);
}

static void
run_ended(struct grpc_call *call, int status, const char *why)
{
	struct place *p = grpc_arg(call);

	(void)call;
	(void)status;
	(void)why;
	p->run = NULL;
	place_status(p, STATUS_PLACE, "the connection to the agent is lost");
}

static const struct grpc_handler run_handler = { .message = run_output,
	.drained = run_drained, .ended = run_ended };

/* The first message says which offer is taken up. */
static void
run_first(struct grpc_call *call, const void *bytes, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	Forge__Agent__V1__RunOutput *m = pb_unpack(
		&forge__agent__v1__run_output__descriptor, bytes, n, &arena);
	struct place *p = NULL;

	if (m && m->payload_case == FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_ID)
		p = place_find(grpc_arg(call), grpc_peer(call)->tls.name,
			m->id);
	if (!p || p->runner || p->run) {
		grpc_finish(call, GRPC_NOT_FOUND, "no such offer");
		return;
	}
	loop_timer_clear(p->s->loop, &p->timer);
	grpc_deadline(call, -1);
	p->state = PLACE_ACKED;
	p->run = call;
	grpc_handle(call, &run_handler, p);
	place_ready(p);
}

void
run_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler first = { .message = run_first };
	struct stream *s = arg;

	if (!agent_allowed(s, call))
		return;
	grpc_handle(call, &first, s);
	grpc_accept(call);
	grpc_deadline(call, stream_now(s) + ACK_TIMEOUT);
}
