/*
 * The frame path of gRPC: any bytes after the TLS of a connection, to a
 * server with a stream and a unary method, and the pure functions beneath.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/grpc.h"
#include "lib/net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
echo(struct grpc_call *call, const void *p, size_t n)
{
	(void)grpc_send(call, p, n);
	if (n == 3)
		grpc_finish(call, GRPC_OK, "%.3s", (const char *)p);
}

static void
half_closed(struct grpc_call *call)
{
	grpc_finish(call, GRPC_ABORTED, "half closed");
}

static void
open_call(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = echo,
		.half_closed = half_closed };

	grpc_handle(call, &handler, arg);
}

static const struct grpc_method methods[] = {
	{ "/a", false, 4096, 0, open_call },
	{ "/b", true, 4096, 1000, open_call },
};

static int
listener(struct sockaddr_un *to)
{
	socklen_t n = sizeof(*to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to->sun_family = AF_UNIX;
	/* A name of the kernel's choice, in no directory. */
	if (fd < 0 || bind(fd, (struct sockaddr *)to, sizeof(sa_family_t)) ||
		listen(fd, 1) || getsockname(fd, (struct sockaddr *)to, &n))
		abort();
	return fd;
}

static void
stop(struct loop_timer *t)
{
	loop_stop(*(struct loop **)(void *)(t + 1));
}

static void
serve(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	const struct grpc_server_options o = { .methods = methods,
		.nmethods = ARRAY_SIZE(methods) };
	struct {
		struct loop_timer timer;
		struct loop *loop;
	} end = { .timer.fire = stop };
	struct sockaddr_un to = { 0 };
	struct grpc_server *server;
	struct err err = ERR_INIT;
	int fd = listener(&to);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(to);

	if (getsockname(fd, (struct sockaddr *)&to, &n) ||
		connect(client, (struct sockaddr *)&to, n) ||
		loop_open(&end.loop, &err) ||
		grpc_server_open(end.loop, fd, &o, &server, &err))
		abort();
	if (send(client, preface, strlen(preface), MSG_NOSIGNAL) < 0 ||
		send(client, data, size, MSG_NOSIGNAL) < 0)
		abort();
	(void)shutdown(client, SHUT_WR);
	loop_timer_set(end.loop, &end.timer, loop_now(end.loop) + 1);
	if (loop_run(end.loop, &err))
		abort();
	grpc_server_close(server);
	loop_close(end.loop);
	(void)close(client);
}

static int
take(const void *message, size_t n, void *arg)
{
	(void)message;
	*(size_t *)arg += n;
	return n == 7;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grpc_reader r = { .max = 1000 };
	struct buf text = BUF_INIT;
	char address[64] = "";
	const char *why = "";
	size_t sum = 0;

	serve(data, size);
	(void)!grpc_reader_feed(&r, data, size / 2, take, &sum, &why);
	(void)!grpc_reader_feed(&r, data + size / 2, size - size / 2, take,
		&sum, &why);
	grpc_reader_release(&r);
	if (sum > size || proxy_parse(data, size, address, 64) > (ssize_t)size)
		abort();
	(void)grpc_timeout_ms((const char *)data, size);
	(void)utf8_valid((const char *)data, size);
	grpc_percent_decode(&text, (const char *)data, size);
	buf_release(&text);
	return 0;
}
