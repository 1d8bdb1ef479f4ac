/*
 * The place end of an agent's stream: RunOutput, as a hostile coordinator
 * sends it, or passes it on from an agent, to what waits for a command or a
 * runner there.  Flags: 1 the call ends after the message; 2 (of the first)
 * it is a runner; 4 a signal comes; 8 the timer of dialling fires.
 */
#include <unistd.h>

/* What is printed goes nowhere. */
static int sink;
#undef STDIN_FILENO
#undef STDOUT_FILENO
#undef STDERR_FILENO
#define STDIN_FILENO sink
#define STDOUT_FILENO sink
#define STDERR_FILENO sink

#include "lib/stream/remote.c"

#include "tests/fuzz/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct rpc_loop loop; /* first */
	struct end e;
	struct grpc_call *call; /* the coordinator's end */
};

static struct state *st;
static int listening;

static void
hub_ended(struct grpc_call *call, int status, const char *why)
{
	struct fuzz *f = grpc_arg(call);

	(void)status;
	(void)why;
	if (f->call == call)
		f->call = NULL;
}

/* What it sends others must be able to read. */
static void
hub_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;

	(void)call;
	if (!pb_unpack(&forge__agent__v1__place_input__descriptor, p, n,
		    &arena))
		abort();
}

static void
hub_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = hub_message,
		.ended = hub_ended };
	struct fuzz *f = arg;

	if (f->call)
		grpc_handle(f->call, NULL, NULL);
	f->call = call;
	grpc_handle(call, &handler, f);
	grpc_accept(call);
}

static const struct grpc_method methods[] = {
	{ "/forge.agent.v1.Place/Run", false, 1 << 20, 0, hub_open },
};

static void
init(void)
{
	struct err err = ERR_INIT;

	st = rpc_state();
	sink = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (sink < 0 || fs_mkdirs(state_dir(st), "run", 0700, &err))
		abort();
	listening = rpc_listen(st, STREAM_SOCKET);
}

static void
take(struct fuzz *f, const struct rpc_step *t)
{
	if (f->call)
		(void)grpc_send(f->call, t->p, t->n);
	if (f->call && t->flags & 1)
		grpc_finish(f->call, GRPC_UNAVAILABLE, "%.*s",
			(int)(t->n < 99 ? t->n : 99), (const char *)t->p);
	rpc_run(&f->loop);
	if (t->flags & 4 && f->e.call)
		send_signal(&f->e, SIGTERM);
	if (t->flags & 8 && f->e.redial.slot) {
		loop_timer_clear(f->e.loop, &f->e.redial);
		f->e.redial.fire(&f->e.redial);
	}
	rpc_run(&f->loop);
}

static void
script(struct fuzz *f, const uint8_t *data, size_t size)
{
	struct rpc_step step;
	int left = 64;

	dial(&f->e);
	rpc_run(&f->loop);
	while (left-- && f->e.status < 0 && rpc_next(&data, &size, &step))
		take(f, &step);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "true", NULL };
	struct remote r = { .on = "*", .name = "r-1", .argv = words,
		.mark = size && data[0] >> 3 & 2 ? "mark" : NULL };
	struct fuzz f = { .call = NULL };
	const struct grpc_server_options o = { .methods = methods,
		.nmethods = ARRAY_SIZE(methods), .arg = &f };
	struct grpc_server *server;
	struct err err = ERR_INIT;

	if (!st)
		init();
	if (loop_open(&f.loop.loop, &err) ||
		grpc_server_open(f.loop.loop, dup(listening), &o, &server,
			&err))
		abort();
	f.e = (struct end){ .st = st, .r = &r, .loop = f.loop.loop,
		.status = -1, .lost = -1, .line = BUF_INIT, .err = ERR_INIT,
		.in = { .fd = sink, .ready = on_stdin }, .pump.fire = on_pump,
		.redial.fire = on_redial };
	script(&f, data, size);
	grpc_client_close(f.e.client);
	grpc_server_close(server);
	loop_close(f.loop.loop);
	buf_release(&f.e.line);
	free(f.e.agent);
	return 0;
}
