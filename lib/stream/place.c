#include "lib/stream/internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

#define STATUS_PLACE 125

/* ---- what the program at the other end hears ---- */

static void
tell(struct place *p, Forge__Agent__V1__RunOutput *out)
{
	(void)pb_send(p->call, &out->base);
}

void
place_ready(struct place *p)
{
	Forge__Agent__V1__RunOutput out = FORGE__AGENT__V1__RUN_OUTPUT__INIT;

	out.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_AGENT;
	out.agent = p->agent;
	tell(p, &out);
}

void
place_status(struct place *p, unsigned status, const char *why)
{
	Forge__Agent__V1__RunOutput out = FORGE__AGENT__V1__RUN_OUTPUT__INIT;
	CLEANUP_FREE char *line = NULL;

	if (p->state == PLACE_OVER)
		return;
	p->state = PLACE_OVER;
	loop_timer_clear(p->s->loop, &p->timer);
	if (why) {
		line = xasprintf("forge-stream: %s\n", why);
		out.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDERR;
		out.stderr.data = (uint8_t *)line;
		out.stderr.len = strlen(line);
		tell(p, &out);
	}
	out.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STATUS;
	out.status = status;
	tell(p, &out);
	grpc_finish(p->call, GRPC_OK, NULL);
}

/* ---- the table ---- */

struct place *
place_find(struct stream *s, const char *agent, const char *id)
{
	struct place *p;

	for (p = s->places; p; p = p->next)
		if (p->id && p->agent && !strcmp(p->id, id) &&
			!strcmp(p->agent, agent) && p->state != PLACE_OVER)
			return p;
	return NULL;
}

int
places_unlisted(const struct agent *a)
{
	const struct place *p;
	int n = 0;

	for (p = a->s->places; p; p = p->next)
		n += p->runner && p->agent && !p->listed &&
			p->state != PLACE_OVER && !strcmp(p->agent, a->id);
	return n;
}

static void
wait_for(struct place *p, int64_t ms)
{
	loop_timer_set(p->s->loop, &p->timer, stream_now(p->s) + ms);
}

static void send_destroy(struct place *p);

static void
on_timer(struct loop_timer *t)
{
	struct place *p = (struct place *)(void *)((char *)t -
		offsetof(struct place, timer));

	if (p->away)
		place_status(p, STATUS_PLACE, "the agent did not come back");
	else if (p->missing)
		place_status(p, 1, "its VM is gone at the agent");
	else if (p->state == PLACE_SENT) {
		send_destroy(p); /* it may still be on its way */
		place_status(p, STATUS_PLACE,
			"the agent does not answer the command");
	}
}

/* ---- runners ---- */

static void
send_create(struct place *p, struct agent *a, const char *jit, size_t n)
{
	Cirunner__Agent__CreateRunnerCommand c =
		CIRUNNER__AGENT__CREATE_RUNNER_COMMAND__INIT;
	Cirunner__Agent__CoordinatorMessage m =
		CIRUNNER__AGENT__COORDINATOR_MESSAGE__INIT;
	CLEANUP_FREE char *config = xstrndup(jit, n);

	p->id = random_name(20);
	c.command_id = p->id;
	c.vm_name = p->name;
	c.labels = p->labels.v;
	c.n_labels = p->labels.n;
	c.runner_scope_url = p->scope;
	c.jit_config = config;
	m.payload_case =
		CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_CREATE_RUNNER;
	m.create_runner = &c;
	p->state = PLACE_SENT;
	wait_for(p, ACK_TIMEOUT);
	(void)pb_send(a->call, &m.base);
}

void
agent_destroy(struct agent *a, const char *id, const char *name)
{
	Cirunner__Agent__DestroyRunnerCommand d =
		CIRUNNER__AGENT__DESTROY_RUNNER_COMMAND__INIT;
	Cirunner__Agent__CoordinatorMessage m =
		CIRUNNER__AGENT__COORDINATOR_MESSAGE__INIT;
	size_t i;

	d.command_id = (char *)(uintptr_t)id;
	d.vm_id = (char *)(uintptr_t)name;
	for (i = 0; i < a->names.n; i++)
		if (!strcmp(a->names.v[i], name) && *a->ids.v[i])
			d.vm_id = a->ids.v[i];
	m.payload_case =
		CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_DESTROY_RUNNER;
	m.destroy_runner = &d;
	(void)pb_send(a->call, &m.base);
}

static void
send_destroy(struct place *p)
{
	struct agent *a = p->agent ? agent_find(p->s, p->agent) : NULL;

	if (a && a->call && p->id)
		agent_destroy(a, p->id, p->name);
}

static void
resume_runner(struct place *p, const Forge__Agent__V1__PlaceStart *start)
{
	struct agent *a = agent_find(p->s, start->agent);

	p->agent = xstrdup(start->agent);
	p->id = random_name(20);
	p->state = PLACE_ACKED;
	p->listed = true;
	p->away = !a || !a->call || !a->first;
	place_ready(p);
	if (p->away)
		wait_for(p, p->grace);
	else
		places_listed(a);
}

/* "repo:o/r" as kuiper-forge's agents expect it. */
static char *
scope_url(const char *scope)
{
	static const struct {
		const char *kind, *url;
	} table[] = { { "repo:", "https://github.com/" },
		{ "org:", "https://github.com/" },
		{ "enterprise:", "https://github.com/enterprises/" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (!strncmp(scope, table[i].kind, strlen(table[i].kind)))
			return xasprintf("%s%s", table[i].url,
				scope + strlen(table[i].kind));
	return xstrdup(scope);
}

static void
start_runner(struct place *p, const Forge__Agent__V1__PlaceStart *start)
{
	struct agent *a;
	size_t i;

	for (i = 0; i < start->n_labels; i++)
		argv_push(&p->labels, start->labels[i]);
	p->scope = scope_url(start->scope_url);
	if (*start->agent) {
		resume_runner(p, start);
		return;
	}
	a = agent_choose(p->s, start->on, &p->labels);
	if (!a) {
		place_status(p, STATUS_PLACE,
			"no agent with these labels has a free slot");
		return;
	}
	p->agent = xstrdup(a->id);
	p->state = PLACE_RESERVED;
	place_ready(p);
}

static void
runner_input(struct place *p, const Forge__Agent__V1__RunInput *in)
{
	struct agent *a = agent_find(p->s, p->agent);
	size_t n;

	if (in->payload_case == FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_SIGNAL) {
		if (p->state == PLACE_RESERVED)
			place_status(p, 128 + in->signal, NULL);
		else
			send_destroy(p);
		return;
	}
	if (in->payload_case != FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_STDIN ||
		p->state != PLACE_RESERVED)
		return;
	n = in->stdin.len;
	while (n && in->stdin.data[n - 1] <= ' ')
		n--;
	if (!a || !a->call)
		place_status(p, STATUS_PLACE, "the agent has gone");
	else
		send_create(p, a, (const char *)in->stdin.data, n);
}

/* ---- what agents say ---- */

void
place_acked(struct agent *a, const char *id, bool accepted, const char *why)
{
	struct place *p = place_find(a->s, a->id, id);

	if (!p || p->state != PLACE_SENT)
		return;
	if (!accepted) {
		CLEANUP_FREE char *line = xasprintf("the agent refuses: %s",
			why);

		err_clean(line);
		place_status(p, STATUS_PLACE, line);
		return;
	}
	p->state = PLACE_ACKED;
	loop_timer_clear(p->s->loop, &p->timer);
}

static struct place *
find_runner(struct agent *a, const char *name)
{
	struct place *p;

	for (p = a->s->places; p; p = p->next)
		if (p->runner && p->agent && !strcmp(p->agent, a->id) &&
			!strcmp(p->name, name) && p->state != PLACE_OVER)
			return p;
	return NULL;
}

void
place_event(struct agent *a, const char *runner, int event, const char *why)
{
	struct place *p = find_runner(a, runner);
	CLEANUP_FREE char *line = NULL;

	if (!p)
		return;
	if (*why) {
		line = xasprintf("the agent says: %s", why);
		err_clean(line);
	}
	switch (event) {
	case CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_STARTED:
		p->state = PLACE_ACKED;
		p->listed = true;
		loop_timer_clear(p->s->loop, &p->timer);
		break;
	case CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_COMPLETED:
		place_status(p, 0, NULL);
		break;
	case CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_FAILED:
	case CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_DESTROYED:
		place_status(p, 1, line ? line : "the VM was destroyed");
		break;
	default:
		break;
	}
}

static bool
lists(const struct agent *a, const char *name)
{
	size_t i;

	for (i = 0; i < a->names.n; i++)
		if (!strcmp(a->names.v[i], name))
			return true;
	return false;
}

/* An event may come after the list that has its VM no more. */
void
places_listed(struct agent *a)
{
	struct place *p;

	for (p = a->s->places; p; p = p->next) {
		if (!p->runner || !p->agent || p->state != PLACE_ACKED ||
			strcmp(p->agent, a->id) != 0)
			continue;
		if (lists(a, p->name)) {
			p->listed = true;
			if (p->missing)
				loop_timer_clear(p->s->loop, &p->timer);
			p->missing = false;
		} else if (p->listed && !p->missing) {
			p->missing = true;
			wait_for(p, MISSING);
		}
	}
}

void
places_agent(struct agent *a, bool here)
{
	struct place *p;

	for (p = a->s->places; p; p = p->next) {
		if (!p->runner || !p->agent || p->state == PLACE_OVER ||
			strcmp(p->agent, a->id) != 0)
			continue;
		if (p->state == PLACE_SENT) /* it may have come, or not */
			p->state = PLACE_ACKED;
		p->listed |= !here && p->state == PLACE_ACKED;
		p->away = !here;
		p->missing = false; /* its list tells anew */
		if (here)
			loop_timer_clear(p->s->loop, &p->timer);
		else
			wait_for(p, p->grace);
	}
	if (here)
		places_listed(a);
}

/* ---- the call ---- */

static void
start(struct place *p, const Forge__Agent__V1__PlaceStart *m)
{
	struct err err = ERR_INIT;

	p->state = PLACE_RESERVED;
	p->runner = m->runner;
	p->name = xstrdup(m->name);
	p->grace = m->grace && m->grace < GRACE * 100 ? (int64_t)m->grace :
							GRACE;
	if (p->runner && parse_name(p->name, "runner", &err))
		place_status(p, STATUS_PLACE, err.msg);
	else if (p->runner)
		start_runner(p, m);
	else
		command_offer(p, m->on, m);
}

static void
on_message(struct grpc_call *call, const void *bytes, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct place *p = grpc_arg(call);
	Forge__Agent__V1__PlaceInput *m = pb_unpack(
		&forge__agent__v1__place_input__descriptor, bytes, n, &arena);
	bool starts = m && m->payload_case ==
			FORGE__AGENT__V1__PLACE_INPUT__PAYLOAD_START;

	if (!m || starts != (p->state == PLACE_NEW) ||
		(!starts && !m->input)) {
		grpc_finish(call, GRPC_INVALID_ARGUMENT,
			"a start, then input");
		return;
	}
	if (starts)
		start(p, m->start);
	else if (p->state == PLACE_OVER)
		return;
	else if (p->runner)
		runner_input(p, m->input);
	else
		command_input(p, m->input);
}

static void
on_drained(struct grpc_call *call)
{
	command_drained(grpc_arg(call));
}

static void
on_ended(struct grpc_call *call, int status, const char *why)
{
	struct place *p = grpc_arg(call);

	(void)call;
	(void)status;
	(void)why;
	loop_timer_clear(p->s->loop, &p->timer);
	if (p->runner && p->state != PLACE_OVER)
		send_destroy(p);
	if (!p->runner)
		command_over(p);
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	argv_release(&p->labels);
	free(p->id);
	free(p->name);
	free(p->agent);
	free(p->scope);
	free(p);
}

void
place_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = on_message,
		.drained = on_drained, .ended = on_ended };
	struct stream *s = arg;
	struct place *p = xcalloc(1, sizeof(*p));

	p->s = s;
	p->call = call;
	p->timer.fire = on_timer;
	p->labels = ARGV_INIT;
	p->next = s->places;
	if (p->next)
		p->next->prev = &p->next;
	p->prev = &s->places;
	s->places = p;
	grpc_handle(call, &handler, p);
	grpc_accept(call);
}
