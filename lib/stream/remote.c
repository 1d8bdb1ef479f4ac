#include "lib/stream/remote.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "forge.pb-c.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/net/grpc.h"
#include "lib/net/pb.h"
#include "lib/state/state.h"
#include "lib/stream/stream.h"
#include "lib/base/banned.h"

#define CHUNK 32768
#define LINE_MAX_BYTES 65536
#define GRACE 180000 /* ms */
#define REDIAL 500 /* ms between two tries */

#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

struct end {
	struct state *st;
	const struct remote *r;
	struct loop *loop;
	struct grpc_client *client;
	struct grpc_call *call;
	struct loop_fd in, signals;
	struct loop_timer pump; /* stdin is a file: always ready */
	struct loop_timer redial;
	struct buf line; /* of a runner: what is to be sent */
	char *agent;
	bool reading, sent;
	int64_t lost; /* mono ms of the last time it was; -1 */
	int told; /* signals */
	int owed; /* one that came while there was no coordinator, or 0 */
	int status; /* -1: not yet */
	struct err err;
};

static void dial(struct end *e);

static void
over(struct end *e, int status)
{
	if (e->status < 0)
		e->status = status;
	loop_stop(e->loop);
}

/* ---- to the agent ---- */

static void
send_input(struct end *e, Forge__Agent__V1__RunInput *in)
{
	Forge__Agent__V1__PlaceInput m = FORGE__AGENT__V1__PLACE_INPUT__INIT;

	m.payload_case = FORGE__AGENT__V1__PLACE_INPUT__PAYLOAD_INPUT;
	m.input = in;
	if (e->call)
		(void)pb_send(e->call, &m.base);
}

static void
send_bytes(struct end *e, const void *p, size_t n)
{
	Forge__Agent__V1__RunInput in = FORGE__AGENT__V1__RUN_INPUT__INIT;

	in.payload_case = FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_STDIN;
	in.stdin.data = (uint8_t *)(uintptr_t)p;
	in.stdin.len = n;
	send_input(e, &in);
}

static void
send_eof(struct end *e)
{
	Forge__Agent__V1__RunInput in = FORGE__AGENT__V1__RUN_INPUT__INIT;

	in.payload_case = FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_EOF;
	in.eof = 1;
	send_input(e, &in);
}

static void
stop_reading(struct end *e)
{
	e->reading = false;
	loop_del(e->loop, &e->in);
	loop_timer_clear(e->loop, &e->pump);
}

/* One line is a runner's configuration; there is no more to say. */
static void
take_line(struct end *e, const char *p, size_t n)
{
	buf_add(&e->line, p, n);
	if (!memchr(p, '\n', n)) {
		if (e->line.len > LINE_MAX_BYTES)
			over(e, EXIT_PLACE);
		return;
	}
	stop_reading(e);
	e->sent = true;
	send_bytes(e, e->line.s, e->line.len);
	explicit_bzero(e->line.s, e->line.len);
}

static void
read_stdin(struct end *e)
{
	char chunk[CHUNK];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		stop_reading(e);
		if (!e->r->mark)
			send_eof(e);
		else
			over(e, EXIT_PLACE); /* nobody wants the runner */
		return;
	}
	if (e->r->mark) {
		take_line(e, chunk, (size_t)n);
		return;
	}
	send_bytes(e, chunk, (size_t)n);
	if (e->call && grpc_queued(e->call) > GRPC_QUEUE_LOW)
		stop_reading(e);
}

static void
on_stdin(struct loop_fd *l, uint32_t events)
{
	(void)events;
	read_stdin(CONTAINER(l, struct end, in));
}

static void
on_pump(struct loop_timer *t)
{
	struct end *e = CONTAINER(t, struct end, pump);

	read_stdin(e);
	if (e->reading)
		loop_timer_set(e->loop, t, loop_now(e->loop) + 1);
}

static void
start_reading(struct end *e)
{
	struct err err = ERR_INIT;

	if (e->reading)
		return;
	e->reading = true;
	/* epoll knows no plain files. */
	if (loop_add(e->loop, &e->in, EPOLLIN, &err))
		loop_timer_set(e->loop, &e->pump, loop_now(e->loop));
}

static void
send_signal(struct end *e, int sig)
{
	Forge__Agent__V1__RunInput in = FORGE__AGENT__V1__RUN_INPUT__INIT;

	in.payload_case = FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_SIGNAL;
	in.signal = (uint32_t)sig;
	send_input(e, &in);
}

static void
on_signal(struct loop_fd *l, uint32_t events)
{
	struct end *e = CONTAINER(l, struct end, signals);
	int sig;

	(void)events;
	while ((sig = signals_next(l->fd))) {
		if (e->told++ || !e->agent || (!e->call && !e->sent)) {
			over(e, EXIT_SIGNAL + sig);
			return;
		}
		if (e->lost >= 0)
			e->owed = sig; /* the next coordinator hears it */
		else
			send_signal(e, sig);
	}
}

/* ---- from the agent ---- */

static void
print(struct end *e, int fd, const void *p, size_t n)
{
	if (n && write_all(fd, p, n))
		over(e, EXIT_SIGNAL + SIGPIPE); /* nobody reads any more */
}

static void
on_agent(struct end *e, const char *agent)
{
	if (e->agent) { /* found again */
		if (e->owed)
			send_signal(e, e->owed);
		e->owed = 0;
		return;
	}
	e->agent = xstrdup(agent);
	if (e->r->mark) {
		print(e, STDOUT_FILENO, e->r->mark, strlen(e->r->mark));
		print(e, STDOUT_FILENO, "\n", 1);
	}
	start_reading(e);
}

static void
on_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct end *e = grpc_arg(call);
	Forge__Agent__V1__RunOutput *m = pb_unpack(
		&forge__agent__v1__run_output__descriptor, p, n, &arena);

	if (!m)
		return;
	e->lost = -1;
	switch (m->payload_case) {
	case FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_AGENT:
		on_agent(e, m->agent);
		break;
	case FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDOUT:
		print(e, STDOUT_FILENO, m->stdout.data, m->stdout.len);
		break;
	case FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDERR:
		print(e, STDERR_FILENO, m->stderr.data, m->stderr.len);
		break;
	case FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STATUS:
		over(e, (int)(m->status & 255));
		break;
	case FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_ID:
	case FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD__NOT_SET:
	case _FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD__CASE_IS_INT_SIZE:
		break;
	}
}

static void
on_drained(struct grpc_call *call)
{
	struct end *e = grpc_arg(call);

	if (!e->r->mark)
		start_reading(e);
}

/* The coordinator has gone: a runner lives on at its agent, and there will
 * be another coordinator. */
static void
on_ended(struct grpc_call *call, int status, const char *why)
{
	struct end *e = grpc_arg(call);
	int64_t now = loop_now(e->loop);
	int64_t grace = e->r->grace ? e->r->grace : GRACE;

	e->call = NULL;
	if (e->status >= 0)
		return;
	if (e->lost < 0)
		e->lost = now;
	if (e->r->mark && e->sent && now < e->lost + grace) {
		loop_timer_set(e->loop, &e->redial, now + REDIAL);
		return;
	}
	(void)err_set(&e->err, ERR_PLACE, "agent '%s': %s", e->r->on,
		*why ? why : grpc_status_name(status));
	over(e, EXIT_PLACE);
}

/* ---- life ---- */

static void
send_start(struct end *e)
{
	const struct remote *r = e->r;
	Forge__Agent__V1__PlaceStart s = FORGE__AGENT__V1__PLACE_START__INIT;
	Forge__Agent__V1__PlaceInput m = FORGE__AGENT__V1__PLACE_INPUT__INIT;

	s.on = (char *)(uintptr_t)r->on;
	s.name = (char *)(uintptr_t)(r->name ? r->name : "");
	s.place = (char *)(uintptr_t)(r->place ? r->place : "");
	s.scope_url = (char *)(uintptr_t)(r->scope ? r->scope : "");
	s.agent = e->agent ? e->agent : s.agent;
	s.runner = r->mark != NULL;
	s.grace = (uint64_t)(r->grace > 0 ? r->grace : 0);
	s.cpus = (uint32_t)r->cpus;
	s.memory = (uint64_t)r->memory;
	if (r->labels) {
		s.labels = r->labels->v;
		s.n_labels = r->labels->n;
	}
	s.argv = (char **)(uintptr_t)r->argv;
	while (r->argv && r->argv[s.n_argv])
		s.n_argv++;
	m.payload_case = FORGE__AGENT__V1__PLACE_INPUT__PAYLOAD_START;
	m.start = &s;
	(void)pb_send(e->call, &m.base);
}

static void
on_down(struct grpc_client *c, const struct err *why, void *arg)
{
	struct end *e = arg;

	(void)why;
	grpc_client_close(c);
	if (e->client == c)
		e->client = NULL;
}

static void
dial(struct end *e)
{
	static const struct grpc_handler handler = { .message = on_message,
		.drained = on_drained, .ended = on_ended };
	const struct grpc_client_options o = { .unix_dir = state_dir(e->st),
		.path = STREAM_SOCKET, .down = on_down, .arg = e };
	int64_t grace = e->r->grace ? e->r->grace : GRACE;

	e->err = ERR_INIT;
	if (!grpc_client_open(e->loop, &o, &e->client, &e->err)) {
		e->call = grpc_start(e->client, "/forge.agent.v1.Place/Run",
			&handler, e, 0);
		send_start(e);
		return;
	}
	if (e->sent && loop_now(e->loop) < e->lost + grace)
		loop_timer_set(e->loop, &e->redial,
			loop_now(e->loop) + REDIAL);
	else
		over(e, EXIT_PLACE);
}

static void
on_redial(struct loop_timer *t)
{
	struct end *e = CONTAINER(t, struct end, redial);

	grpc_client_close(e->client);
	e->client = NULL;
	dial(e);
}

static int
run(struct end *e, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, 0 };

	if (loop_open(&e->loop, err) ||
		signals_open(signals, &e->signals.fd, err) ||
		loop_add(e->loop, &e->signals, EPOLLIN, err))
		return -1;
	dial(e);
	if (e->status < 0 && loop_run(e->loop, err))
		return -1;
	return 0;
}

int
remote_run(struct state *st, const struct remote *r, int *ret_status,
	struct err *err)
{
	struct end e = { .st = st, .r = r, .status = -1, .lost = -1,
		.line = BUF_INIT, .err = ERR_INIT,
		.in = { .fd = STDIN_FILENO, .ready = on_stdin },
		.signals = { .fd = -1, .ready = on_signal },
		.pump.fire = on_pump, .redial.fire = on_redial };
	int rc = run(&e, err);

	if (e.status < 0)
		e.status = EXIT_PLACE; /* on_ended() has nobody to tell */
	grpc_client_close(e.client);
	loop_close(e.loop);
	cleanup_close(&e.signals.fd);
	buf_release(&e.line);
	free(e.agent);
	if (!rc && e.err.code)
		*err = e.err;
	*ret_status = e.status;
	return rc || e.err.code ? -1 : 0;
}
