/*
 * agents PORT DIR register N	N agents, tokens from stdin; their files in DIR
 * agents PORT DIR connect N	N streams at once; "ok MS", then until stdin ends
 * agents PORT DIR flood N M	M messages on each of N streams, to the end
 *
 * The load for `stream`: agents as kuiper-forge's are, on our own client.  DIR
 * has ca.crt, and NUMBER.crt and NUMBER.key of each agent.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cirunner.pb-c.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/net/grpc.h"
#include "lib/net/pb.h"

#define PARALLEL 16 /* registrations */
#define DIALING 128 /* streams on their way: agents share no processor */
#define PATIENCE 60000 /* ms for a stream, all in all */

struct agent {
	int number;
	struct grpc_client *client;
	struct grpc_call *call;
	bool pinged;
};

static struct loop *loop;
static struct agent *agents;
static const char *dir;
static char *ca;
static int port, total, next_one, done, failed;
static bool flooding;
static long messages; /* left to be sent, by all */
static int64_t began;
static struct buf status_message = { .s = buf_empty };

static char *
slurp(const char *name, int number)
{
	CLEANUP_FREE char *path = number < 0 ?
		xasprintf("%s/%s", dir, name) :
		xasprintf("%s/%d.%s", dir, number, name);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	if (fs_read(AT_FDCWD, path, 65536, &b, &err)) {
		fprintf(stderr, "agents: %s\n", err.msg);
		exit(1);
	}
	return b.s;
}

static void
spit(const char *name, int number, const char *text)
{
	CLEANUP_FREE char *path = xasprintf("%s/%d.%s", dir, number, name);
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		exit(1);
}

static void
make_status(void)
{
	static char host[] = "bench", kind[] = "tart", label[] = "linux";
	static char *labels[] = { label };
	Cirunner__Agent__AgentStatus s = CIRUNNER__AGENT__AGENT_STATUS__INIT;
	Cirunner__Agent__AgentMessage m = CIRUNNER__AGENT__AGENT_MESSAGE__INIT;

	s.hostname = host;
	s.agent_type = kind;
	s.labels = labels;
	s.n_labels = 1;
	s.max_vms = s.available_slots = 2;
	m.payload_case = CIRUNNER__AGENT__AGENT_MESSAGE__PAYLOAD_STATUS;
	m.status = &s;
	pb_pack(&m.base, &status_message);
}

static void
dial(struct agent *a, bool own)
{
	CLEANUP_FREE char *cert = own ? slurp("crt", a->number) : NULL;
	CLEANUP_FREE char *key = own ? slurp("key", a->number) : NULL;
	const struct tls_pem pem = { .ca = ca, .cert = cert, .key = key };
	struct grpc_client_options o = { .host = "localhost", .port = port };
	struct err err = ERR_INIT;

	if (tls_client(&pem, &o.tls, &err) ||
		grpc_client_open(loop, &o, &a->client, &err)) {
		fprintf(stderr, "agents: %s\n", err.msg);
		exit(1);
	}
	tls_free(o.tls);
}

static void
finish_one(bool good)
{
	failed += !good;
	if (++done == total)
		loop_stop(loop);
}

/* ---- register ---- */

static void register_next(struct agent *a);

static void
registered(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct agent *a = grpc_arg(call);
	Cirunner__Agent__RegisterResponse *r = pb_unpack(
		&cirunner__agent__register_response__descriptor, p, n, &arena);

	spit("crt", a->number, r->client_cert_pem);
	spit("key", a->number, r->client_key_pem);
}

static void
register_over(struct grpc_call *call, int status, const char *why)
{
	struct agent *a = grpc_arg(call);

	if (status)
		fprintf(stderr, "agents: %s\n", why);
	grpc_client_close(a->client);
	finish_one(!status);
	if (next_one < total)
		register_next(&agents[next_one++]);
}

static void
register_next(struct agent *a)
{
	static const struct grpc_handler handler = { .message = registered,
		.ended = register_over };
	static char host[] = "bench", kind[] = "tart";
	Cirunner__Agent__RegisterRequest r =
		CIRUNNER__AGENT__REGISTER_REQUEST__INIT;
	char token[128];

	if (scanf("%127s", token) != 1)
		exit(1);
	r.registration_token = token;
	r.hostname = host;
	r.agent_type = kind;
	dial(a, false);
	a->call = grpc_start(a->client,
		"/cirunner.agent.RegistrationService/Register", &handler, a, 0);
	(void)pb_send(a->call, &r.base);
	grpc_half_close(a->call);
}

/* ---- streams ---- */

static void stream(struct agent *a);

static void
stream_next(void)
{
	if (!flooding && next_one < total)
		stream(&agents[next_one++]);
}

static void
pinged(struct grpc_call *call, const void *p, size_t n)
{
	struct agent *a = grpc_arg(call);

	(void)p;
	(void)n;
	if (!flooding && !a->pinged) {
		finish_one(true);
		stream_next();
	}
	a->pinged = true;
	if (!flooding)
		grpc_deadline(call, -1);
}

static void
push(struct grpc_call *call)
{
	while (messages > 0 && grpc_queued(call) < GRPC_QUEUE_LOW * 2) {
		messages--;
		if (!grpc_send(call, status_message.s, status_message.len))
			return;
	}
	if (messages <= 0)
		grpc_half_close(call);
}

static void
stream_over(struct grpc_call *call, int status, const char *why)
{
	struct agent *a = grpc_arg(call);

	if (status)
		fprintf(stderr, "agents: %s\n", why);
	if (flooding || !a->pinged) {
		finish_one(flooding && !status);
		stream_next();
	}
}

static void
stream(struct agent *a)
{
	static const struct grpc_handler handler = { .message = pinged,
		.drained = push, .ended = stream_over };

	dial(a, true);
	a->call = grpc_start(a->client,
		"/cirunner.agent.AgentService/AgentStream", &handler, a,
		PATIENCE);
	(void)grpc_send(a->call, status_message.s, status_message.len);
}

int
main(int argc, char **argv)
{
	struct rlimit limit = { 65536, 65536 };
	struct err err = ERR_INIT;
	char c;
	int i;

	if (argc < 5 || loop_open(&loop, &err))
		return 2;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	port = (int)strtol(argv[1], NULL, 10);
	dir = argv[2];
	total = (int)strtol(argv[4], NULL, 10);
	ca = slurp("ca.crt", -1);
	agents = xcalloc((size_t)total, sizeof(*agents));
	for (i = 0; i < total; i++)
		agents[i].number = i;
	make_status();
	if (argc > 5)
		messages = strtol(argv[5], NULL, 10) * total;
	flooding = messages > 0;
	began = clock_mono();
	if (!strcmp(argv[3], "register"))
		for (next_one = 0; next_one < PARALLEL && next_one < total;)
			register_next(&agents[next_one++]);
	else
		for (next_one = 0; next_one < total &&
			(flooding || next_one < DIALING);)
			stream(&agents[next_one++]);
	for (i = 0; flooding && i < total; i++)
		push(agents[i].call);
	if (loop_run(loop, &err))
		return 1;
	printf("%lld %d\n", (long long)(clock_mono() - began), failed);
	(void)fflush(stdout);
	if (!strcmp(argv[3], "connect"))
		while (read(STDIN_FILENO, &c, 1) > 0)
			;
	return failed != 0;
}
