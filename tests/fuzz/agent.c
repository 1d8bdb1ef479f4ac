/*
 * forge-agent and what a hostile coordinator tells it: messages of
 * cirunner.agent and forge.agent.v1 in any order, through the code that
 * handles them.  The programs that it starts are true(1), whatever their
 * arguments.
 *
 * what: on AgentStream, Serve, the newest Run; then the answers to Join,
 * Register and Renew.  Flags: 4 the call ends after the message; 8 the
 * connection, and it is dialled anew.
 */
#include "lib/runner/member.c" /* its answers are parsed in there */

#include "tests/fuzz/rpc.h"

#include <signal.h>
#include <sys/wait.h>

#include "lib/runner/worker_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM, SERVE, RUN, JOINED, REGISTERED, RENEWED };

struct fuzz {
	struct rpc_loop loop; /* first */
	struct worker w;
	struct grpc_server *server;
	struct grpc_call *calls[3]; /* the coordinator's ends */
};

static struct state *st;
static struct db *db;
static struct pools pools;
static int listening;

/* ---- a host that has joined ---- */

static void
init(void)
{
	static const char config[] = "[place \"true\"]\n\trun = /bin/true\n"
		"[pool \"linux\"]\n\tscope = repo:a/b\n\tlabels = linux,x64\n"
		"\tplace = here\n\tmax = 2\n";
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	CLEANUP_FREE char *bin = NULL, *to = NULL;
	struct err err = ERR_INIT;

	st = rpc_state();
	bin = xasprintf("%s/bin", rpc_dir);
	to = xasprintf("%s/forge-runner", bin);
	if (mkdir(bin, 0700) || symlink("/bin/true", to) ||
		setenv("PATH", bin, 1) ||
		fs_replace(state_dir(st), "config", config, strlen(config),
			0600, &err) ||
		pools_load(st, &pools, &err) || state_db(st, &db, &err))
		abort();
	(void)sigaction(SIGPIPE, &ignore, NULL); /* as signals_open() does */
	listening = rpc_listen(st, RPC_SOCKET);
}

/* ---- the coordinator ---- */

static void
on_ended(struct grpc_call *call, int status, const char *why)
{
	struct fuzz *f = grpc_arg(call);
	int i;

	(void)status;
	(void)why;
	for (i = 0; i < 3; i++)
		if (f->calls[i] == call)
			f->calls[i] = NULL;
}

/* What it sends others must be able to read. */
static void
on_message(struct grpc_call *call, const void *p, size_t n)
{
	struct fuzz *f = grpc_arg(call);
	CLEANUP_ARENA struct arena arena = ARENA_INIT;

	if (!pb_unpack(call == f->calls[STREAM] ?
			&cirunner__agent__agent_message__descriptor :
			call == f->calls[SERVE] ?
			&forge__agent__v1__serve_message__descriptor :
			&forge__agent__v1__run_output__descriptor,
		    p, n, &arena))
		abort();
}

static void
take_call(struct fuzz *f, int kind, struct grpc_call *call)
{
	static const struct grpc_handler handler = { .message = on_message,
		.ended = on_ended };

	if (f->calls[kind])
		grpc_handle(f->calls[kind], NULL, NULL);
	f->calls[kind] = call;
	grpc_handle(call, &handler, f);
	grpc_accept(call);
}

static void
open_stream(struct grpc_call *call, void *arg)
{
	take_call(arg, STREAM, call);
}

static void
open_serve(struct grpc_call *call, void *arg)
{
	take_call(arg, SERVE, call);
}

static void
open_run(struct grpc_call *call, void *arg)
{
	take_call(arg, RUN, call);
}

static const struct grpc_method methods[] = {
	{ "/cirunner.agent.AgentService/AgentStream", false, 1 << 20, 0,
		open_stream },
	{ "/forge.agent.v1.Agent/Serve", false, 1 << 20, 0, open_serve },
	{ "/forge.agent.v1.Agent/Run", false, 1 << 20, 0, open_run },
};

/* ---- answers to calls of one message ---- */

static void
answer(const struct rpc_step *t)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	Cirunner__Agent__RegisterResponse *a;
	struct err err = ERR_INIT;
	int rc = -1;

	m.url = xstrdup("https://coordinator");
	m.ca = t->what == JOINED ? NULL : xstrdup("the old one");
	buf_add(&text, t->p, t->n);
	if (t->what != REGISTERED) {
		rc = take_answer(&m, &text, xstrdup("a key"), &err);
	} else {
		a = pb_unpack(&cirunner__agent__register_response__descriptor,
			t->p, t->n, &arena);
		if (a)
			rc = take(&m, a->agent_id, a->client_cert_pem,
				a->server_ca_pem, xstrdup(a->client_key_pem),
				&err);
	}
	if (!rc && t->what != REGISTERED)
		abort(); /* nobody has a certificate for that key */
}

/* ---- the script ---- */

static void
connect_worker(struct fuzz *f)
{
	const struct grpc_client_options to = { .unix_dir = state_dir(st),
		.path = RPC_SOCKET };
	struct err err = ERR_INIT;

	loop_timer_clear(f->w.loop, &f->w.redial);
	if (grpc_client_open(f->w.loop, &to, &f->w.client, &err))
		abort();
	stream_open(&f->w);
	serve_start(&f->w);
	f->w.up_at = 1;
	stream_up(&f->w);
	rpc_run(&f->loop);
}

static void
no_timer(struct loop_timer *t)
{
	(void)t; /* what it would do is a flag's */
}

/* As worker.c does it. */
static void
hang_up_worker(struct fuzz *f)
{
	struct grpc_client *c = f->w.client;

	f->w.client = NULL;
	f->w.up_at = -1;
	grpc_client_close(c);
	rpc_run(&f->loop);
}

static void
take_step(struct fuzz *f, const struct rpc_step *t)
{
	struct grpc_call *c;

	if (t->what >= JOINED) {
		answer(t);
		return;
	}
	c = f->calls[t->what];
	if (c)
		(void)grpc_send(c, t->p, t->n);
	if (c && t->flags & 4)
		grpc_finish(c, t->flags & 1 ? GRPC_UNAUTHENTICATED : GRPC_OK,
			"%.*s", (int)(t->n < 99 ? t->n : 99),
			(const char *)t->p);
	rpc_run(&f->loop);
	if (t->flags & 8) {
		hang_up_worker(f);
		connect_worker(f);
	}
}

static void
begin(struct fuzz *f)
{
	const struct grpc_server_options o = { .methods = methods,
		.nmethods = ARRAY_SIZE(methods), .arg = f };
	struct err err = ERR_INIT;
	char host[] = "h", id[] = "one";

	if (loop_open(&f->loop.loop, &err))
		abort();
	f->w = (struct worker){ .st = st, .db = db, .loop = f->loop.loop,
		.pools = pools, .max = 2, .up_at = -1, .places = ARGV_INIT,
		.host = xstrdup(host), .member = MEMBER_INIT,
		.redial.fire = no_timer, .status.fire = no_timer };
	f->w.member.id = xstrdup(id);
	argv_push(&f->w.places, "true");
	argv_push(&f->w.places, "vm:x");
	if (grpc_server_open(f->w.loop, dup(listening), &o, &f->server, &err))
		abort();
	connect_worker(f);
}

static void
end(struct fuzz *f)
{
	hang_up_worker(f);
	commands_free(&f->w);
	far_free_all(&f->w);
	grpc_server_close(f->server);
	loop_close(f->w.loop);
	stream_forget(&f->w);
	argv_release(&f->w.places);
	member_release(&f->w.member);
	free(f->w.host);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* of those that were not waited for */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .calls = { NULL } };
	struct rpc_step step;
	int left = 64;

	if (!st)
		init();
	begin(&f);
	while (left-- && rpc_next(&data, &size, &step))
		if (step.what <= RENEWED)
			take_step(&f, &step);
	end(&f);
	return 0;
}
