/*
 * How long a server bears a client that is silent, idle, deaf or slow, on
 * live sockets: the client is a thread that writes its frames by hand.
 */
#include "lib/net/grpc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/net/listen.h"
#include "tests/unit/tap.h"

#define LONG 60000 /* ms: never */

static const unsigned char greeting[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
					"\0\0\0\4\0\0\0\0\0";
/* literal fields, never in the table */
static const unsigned char call[] = "\0\0\x62\1\4\0\0\0\1"
	"\x10\7:method\4POST"
	"\x10\7:scheme\4http"
	"\x10\5:path\4/t/S"
	"\x10\x0a:authority\1t"
	"\x10\x0c" "content-type\x10" "application/grpc"
	"\x10\2te\x08trailers";

struct client {
	int fd;
	bool answers; /* PINGs */
	int pings;
	int64_t began, lived; /* ms */
	int64_t patience; /* then it goes by itself */
	unsigned char in[65536];
	size_t n;
};

static void
pong(struct client *c, const unsigned char *ping)
{
	unsigned char frame[17] = { 0, 0, 8, 6, 1 };

	memcpy(frame + 9, ping, 8);
	if (write(c->fd, frame, sizeof(frame)) < 0)
		return; /* it is gone; so it shall be noted */
}

static void
frames(struct client *c)
{
	while (c->n >= 9) {
		size_t len = 9 + ((size_t)c->in[0] << 16 | c->in[1] << 8 |
					 c->in[2]);

		if (c->n < len)
			return;
		if (c->in[3] == 6 && !(c->in[4] & 1)) {
			c->pings++;
			if (c->answers)
				pong(c, c->in + 9);
		}
		memmove(c->in, c->in + len, c->n - len);
		c->n -= len;
	}
}

static void *
live(void *arg)
{
	struct client *c = arg;
	int64_t left;
	ssize_t n = 1;

	while (n > 0 && (left = c->began + c->patience - clock_mono()) > 0) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };

		if (poll(&p, 1, (int)left) == 1) {
			n = read(c->fd, c->in + c->n, sizeof(c->in) - c->n);
			c->n += n > 0 ? (size_t)n : 0;
			frames(c);
		}
	}
	c->lived = clock_mono() - c->began;
	(void)close(c->fd);
	return NULL;
}

/* ---- the server ---- */

static struct loop *loop;
static struct grpc_server *server;
static struct loop_timer look;
static int ended;

static void
on_look(struct loop_timer *t)
{
	if (!grpc_server_connections(server))
		loop_stop(loop);
	else
		loop_timer_set(loop, t, loop_now(loop) + 5);
}

static void
on_ended(struct grpc_call *c, int status, const char *why)
{
	(void)c;
	(void)status;
	(void)why;
	ended++;
}

static void
silent_open(struct grpc_call *c, void *arg)
{
	static const struct grpc_handler handler = { .ended = on_ended };

	(void)arg;
	grpc_handle(c, &handler, NULL);
	grpc_accept(c);
}

static const struct grpc_method methods[] = {
	{ "/t/S", false, 1000, 0, silent_open },
};

static int
dial(int listener)
{
	struct sockaddr_in to;
	socklen_t size = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (getsockname(listener, (struct sockaddr *)&to, &size) ||
		connect(fd, (struct sockaddr *)&to, size)) {
		perror("connect");
		exit(1);
	}
	return fd;
}

/* One client of a server with this patience, to its end. */
static void
meet(const struct grpc_patience *patience, struct client *c, const void *says,
	size_t n)
{
	struct grpc_server_options o = { .methods = methods,
		.nmethods = ARRAY_SIZE(methods), .patience = *patience };
	struct err err = ERR_INIT;
	pthread_t thread;
	int fd;

	if (listen_open("127.0.0.1:0", &fd, &err)) {
		ok(false, err.msg);
		return;
	}
	c->began = clock_mono();
	c->fd = dial(fd);
	if (loop_open(&loop, &err) ||
		grpc_server_open(loop, fd, &o, &server, &err) ||
		write(c->fd, says, n) != (ssize_t)n ||
		pthread_create(&thread, NULL, live, c)) {
		ok(false, "a server and a client");
		return;
	}
	look.fire = on_look;
	loop_timer_set(loop, &look, clock_mono() + 100);
	ok(!loop_run(loop, &err), "all over");
	pthread_join(thread, NULL);
	grpc_server_close(server);
	loop_close(loop);
}

int
main(void)
{
	static const struct grpc_patience handshake = { .handshake = 300 },
		idle = { .idle = 400 }, ping = { .ping = 200 };
	unsigned char both[sizeof(greeting) + sizeof(call) - 2];

	memcpy(both, greeting, sizeof(greeting) - 1);
	memcpy(both + sizeof(greeting) - 1, call, sizeof(call) - 1);
	{
		struct client c = { .patience = LONG };

		meet(&handshake, &c, "", 0);
		ok(c.lived >= 300 && c.lived < LONG, "no greeting: cut off");
	}
	{
		struct client c = { .patience = LONG };

		meet(&handshake, &c, greeting, 24);
		ok(c.lived >= 300 && c.lived < LONG, "half of it: cut off");
	}
	{
		struct client c = { .patience = LONG };

		meet(&idle, &c, greeting, sizeof(greeting) - 1);
		ok(c.lived >= 400 && c.lived < LONG, "no calls: cut off");
	}
	{
		struct client c = { .patience = 1500 };

		meet(&idle, &c, both, sizeof(both));
		ok(c.lived >= 1500, "with a call it may stay");
		is_int(ended, 1, "and the call ends with it");
	}
	{
		struct client c = { .patience = LONG };

		meet(&ping, &c, both, sizeof(both));
		is_int(c.pings, 1, "who says nothing is asked");
		ok(c.lived >= 300 && c.lived < LONG, "and cut off");
		is_int(ended, 2, "its call ends");
	}
	{
		struct client c = { .patience = 1500, .answers = true };

		meet(&ping, &c, both, sizeof(both));
		ok(c.pings >= 2 && c.lived >= 1500, "who answers stays");
	}
	return done();
}
