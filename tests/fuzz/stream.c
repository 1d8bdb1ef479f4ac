/*
 * The coordinator's end of agents' streams, as hostile agents and places
 * speak to it: messages of cirunner.agent and forge.agent.v1 in any order, on
 * calls of two agents and of a local program, through the code that handles
 * them, down to the rows.
 *
 * what: AgentStream, Serve, Run, Place.Run, Register, Join, Renew, reflection.
 * Flags: 1 the second agent; 2 a new call, though there is one; 4 half-closed
 * after the message; 8 cancelled; 16 then a timer fires before its time.
 * "$" in an ack, in a Run's id or as the agent of a Place's start stands for
 * what the coordinator said last.
 */
#include "tests/fuzz/rpc.h"

#include "lib/stream/internal.h"
#include "lib/trust/ca.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM, SERVE, RUN, PLACE, REGISTER, JOIN, RENEW, REFLECT, KINDS };
static const char *const paths[KINDS] = { "/a", "/s", "/r", "/p", "/g", "/j",
	"/n", "/f" };

struct fuzz {
	struct rpc_loop loop; /* first */
	struct stream s;
	struct grpc_client *clients[3]; /* of agent one, two, and here */
	struct grpc_call *calls[KINDS][2];
	char said[64]; /* the id of the last command or offer */
};

static struct state *st;
static struct db *db;
static struct ca *ca;
static int listening;
static int opened; /* whose connection it is: the order of first calls */

/* ---- a coordinator with two agents ---- */

static void
init(void)
{
	static const char agents[] =
		"INSERT INTO agent (id, kind, host, created_at) VALUES "
		"('one', 'vm', 'h1', 1), ('two', 'vm', 'h2', 1)";
	static const char certs[] =
		"INSERT INTO cert (serial, kind, name, agent, ca, fingerprint,"
		" pem, not_before, not_after, issued_at) SELECT '0' ||"
		" (a.id = 'two'), 'agent', a.id, a.id, ca.serial, '', '', 1,"
		" 1 << 50, 1 FROM agent a, ca";
	struct err err = ERR_INIT;

	st = rpc_state();
	if (state_db(st, &db, &err) || ca_init(st, "Fuzz", NULL, &err) ||
		ca_open(st, &ca, &err) ||
		db_run(db, agents, NULL, &err) || db_run(db, certs, NULL, &err))
		abort();
	listening = rpc_listen(st, RPC_SOCKET);
}

/* As if its certificate had been shown. */
static void
set_peer(struct grpc_call *call)
{
	struct grpc_peer *peer = (struct grpc_peer *)(uintptr_t)grpc_peer(call);

	if (peer->tls.kind == TLS_PEER_GOOD)
		return;
	peer->tls.kind = TLS_PEER_GOOD;
	peer->tls.expires_at = INT64_MAX;
	snprintf(peer->tls.name, sizeof(peer->tls.name), "%s",
		opened ? "two" : "one");
	snprintf(peer->tls.serial, sizeof(peer->tls.serial), "0%d", opened);
}

#define OPEN(name, real)                             \
	static void name(struct grpc_call *call, void *arg) \
	{                                            \
		set_peer(call);                      \
		real(call, arg);                     \
	}
OPEN(open_agent, agent_open)
OPEN(open_serve, serve_open)
OPEN(open_run, run_open)
OPEN(open_renew, renew_open)

static const struct grpc_method methods[KINDS] = {
	{ "/a", false, 1 << 20, 0, open_agent },
	{ "/s", false, 65536, 0, open_serve },
	{ "/r", false, 1 << 20, 0, open_run },
	{ "/p", false, 1 << 20, 0, place_open },
	{ "/g", true, 65536, 30000, register_open },
	{ "/j", true, 65536, 30000, join_open },
	{ "/n", true, 65536, 30000, open_renew },
	{ "/f", false, 4096, 30000, reflection_open },
};

/* ---- what it says ---- */

static void
note(struct fuzz *f, const char *id)
{
	snprintf(f->said, sizeof(f->said), "%s", id);
}

static void
on_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct fuzz *f = grpc_arg(call);
	Cirunner__Agent__CoordinatorMessage *m;
	Forge__Agent__V1__RunOffer *o;

	if (f->calls[STREAM][0] == call || f->calls[STREAM][1] == call) {
		m = pb_unpack(&cirunner__agent__coordinator_message__descriptor,
			p, n, &arena);
		if (!m)
			abort(); /* what we send others can read */
		if (m->payload_case ==
			CIRUNNER__AGENT__COORDINATOR_MESSAGE__PAYLOAD_CREATE_RUNNER)
			note(f, m->create_runner->command_id);
	} else if (f->calls[SERVE][0] == call || f->calls[SERVE][1] == call) {
		o = pb_unpack(&forge__agent__v1__run_offer__descriptor, p, n,
			&arena);
		if (!o)
			abort();
		note(f, o->id);
	}
}

static void
on_ended(struct grpc_call *call, int status, const char *why)
{
	struct fuzz *f = grpc_arg(call);
	int i;

	(void)status;
	(void)why;
	for (i = 0; i < KINDS * 2; i++)
		if (f->calls[i / 2][i & 1] == call)
			f->calls[i / 2][i & 1] = NULL;
}

/* ---- the script ---- */

/* A message with "$" in it, as it is meant. */
static bool
send_meant(struct fuzz *f, struct grpc_call *call, const struct rpc_step *t)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	Cirunner__Agent__AgentMessage *m;
	Forge__Agent__V1__RunOutput *r;

	if (t->what == STREAM) {
		m = pb_unpack(&cirunner__agent__agent_message__descriptor,
			t->p, t->n, &arena);
		if (!m || m->payload_case !=
				CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_ACK ||
			strcmp(m->ack->command_id, "$") != 0)
			return false;
		m->ack->command_id = f->said;
		(void)pb_send(call, &m->base);
		return true;
	}
	r = t->what != RUN ? NULL :
		pb_unpack(&forge__agent__v1__run_output__descriptor, t->p,
			t->n, &arena);
	if (!r || r->payload_case != FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_ID ||
		strcmp(r->id, "$") != 0)
		return false;
	r->id = f->said;
	(void)pb_send(call, &r->base);
	return true;
}

static void
fire(struct fuzz *f)
{
	struct loop_timer *t = NULL;
	struct place *p;

	for (p = f->s.places; p && !t; p = p->next)
		t = p->timer.slot ? &p->timer : NULL;
	if (!t && f->s.join.slot)
		t = &f->s.join;
	if (!t && f->s.agents && f->s.agents->timer.slot)
		t = &f->s.agents->timer;
	if (!t)
		return;
	loop_timer_clear(f->loop.loop, t);
	t->fire(t);
}

static void
take(struct fuzz *f, const struct rpc_step *t)
{
	static const struct grpc_handler handler = { .message = on_message,
		.ended = on_ended };
	int who = t->flags & 1;
	struct grpc_call *call = f->calls[t->what][who];

	if (!call || t->flags & 2) {
		opened = who;
		call = grpc_start(f->clients[t->what == PLACE ? 2 : who],
			paths[t->what], &handler, f, 0);
		f->calls[t->what][who] = call;
	}
	if (!send_meant(f, call, t))
		(void)grpc_send(call, t->p, t->n);
	if (f->calls[t->what][who] == call && t->flags & 4)
		grpc_half_close(call);
	rpc_run(&f->loop);
	if (f->calls[t->what][who] == call && call && t->flags & 8)
		grpc_cancel(call);
	if (t->flags & 16)
		fire(f);
	rpc_run(&f->loop);
}

static void
begin(struct fuzz *f)
{
	const struct grpc_server_options o = { .methods = methods,
		.nmethods = KINDS, .arg = &f->s };
	const struct grpc_client_options to = { .unix_dir = state_dir(st),
		.path = RPC_SOCKET };
	struct err err = ERR_INIT;
	int i;

	f->s = (struct stream){ .st = st, .db = db, .ca = ca };
	if (loop_open(&f->loop.loop, &err))
		abort();
	f->s.loop = f->loop.loop;
	if (notes_open(&f->s, &err) ||
		grpc_server_open(f->s.loop, dup(listening), &o, &f->s.remote,
			&err))
		abort();
	for (i = 0; i < 3; i++)
		if (grpc_client_open(f->s.loop, &to, &f->clients[i], &err))
			abort();
	rpc_run(&f->loop);
}

/* As the end of stream_serve(). */
static void
end(struct fuzz *f)
{
	int i;

	for (i = 0; i < 3; i++)
		grpc_client_close(f->clients[i]);
	rpc_run(&f->loop);
	grpc_server_close(f->s.remote);
	loop_run_later(f->s.loop);
	if (f->s.places || f->s.joiners)
		abort(); /* each ends with its call */
	notes_close(&f->s);
	agents_free(&f->s);
	loop_close(f->s.loop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned runs;
	struct fuzz f = { .said = "" };
	struct err err = ERR_INIT;
	struct rpc_step step;
	int left = 64;

	if (!st)
		init();
	begin(&f);
	while (left-- && rpc_next(&data, &size, &step))
		take(&f, &step);
	end(&f);
	if (++runs % 256 == 0 &&
		(db_run(db, "DELETE FROM event", NULL, &err) ||
			db_run(db, "DELETE FROM agent WHERE id NOT IN ('one', 'two')",
				NULL, &err)))
		abort();
	return 0;
}
