/* gRPC: the wire's pure functions, and both ends on a Unix socket. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/net/grpc.h"
#include "lib/net/listen.h"
#include "lib/net/proxy.h"
#include "tests/unit/tap.h"

/* ---- pure functions ---- */

static void
test_timeout(void)
{
	static const struct {
		const char *s;
		int64_t ms;
	} cases[] = { { "10S", 10000 }, { "1H", 3600000 }, { "2M", 120000 },
		{ "5m", 5 }, { "1u", 1 }, { "99999999n", 99 },
		{ "2500u", 2 }, { "", -1 }, { "S", -1 }, { "10", -1 },
		{ "10x", -1 }, { "123456789S", -1 }, { "-1S", -1 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		is_int(grpc_timeout_ms(cases[i].s, strlen(cases[i].s)),
			cases[i].ms, cases[i].s);
}

static void
test_percent(void)
{
	CLEANUP_BUF struct buf out = BUF_INIT, back = BUF_INIT;

	grpc_percent_encode(&out, "50% of \xc3\xa4\n", 100);
	is_str(out.s, "50%25 of %C3%A4%0A", "percent-encoded");
	grpc_percent_decode(&back, out.s, out.len);
	is_str(back.s, "50% of \xc3\xa4\n", "and back");
	buf_reset(&back);
	grpc_percent_decode(&back, "%zz%4", 5);
	is_str(back.s, "%zz%4", "what is no escape stays");
}

static void
test_utf8(void)
{
	static const struct {
		const char *s;
		bool valid;
	} cases[] = { { "plain", true }, { "\xc3\xa4", true },
		{ "\xf0\x9f\x98\x80", true }, { "\xc3", false },
		{ "\xc0\x80", false }, { "\xed\xa0\x80", false },
		{ "\xf5\x80\x80\x80", false }, { "\x80", false },
		{ "\xe0\x80\xaf", false } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		is_int(utf8_valid(cases[i].s, strlen(cases[i].s)),
			cases[i].valid, "UTF-8");
	is_int(utf8_valid("a\0b", 3), false, "no NUL");
}

static int
count(const void *message, size_t n, void *arg)
{
	(void)message;
	*(size_t *)arg += n + 1;
	return 0;
}

static void
test_reader(void)
{
	CLEANUP_BUF struct buf all = BUF_INIT;
	struct grpc_reader r = { .max = 10 };
	const char *why = "";
	size_t sum = 0, i;
	int rc = 0;

	grpc_frame(&all, "hello", 5);
	grpc_frame(&all, "", 0);
	grpc_frame(&all, "0123456789", 10);
	rc = grpc_reader_feed(&r, (uint8_t *)all.s, all.len, count, &sum,
		&why);
	ok(!rc && sum == 18, "three messages at once");
	for (sum = 0, i = 0; i < all.len && !rc; i++)
		rc = grpc_reader_feed(&r, (uint8_t *)all.s + i, 1, count,
			&sum, &why);
	ok(!rc && sum == 18 && !grpc_reader_inside(&r), "byte by byte");
	rc = grpc_reader_feed(&r, (const uint8_t *)"\0\0\0\0\x0b", 5, count,
		&sum, &why);
	is_int(rc, GRPC_RESOURCE_EXHAUSTED, "beyond max, by its prefix");
	grpc_reader_release(&r);
	r = (struct grpc_reader){ .max = 10 };
	rc = grpc_reader_feed(&r, (const uint8_t *)"\1\0\0\0\1x", 6, count,
		&sum, &why);
	is_int(rc, GRPC_INTERNAL, "compressed, without encoding");
	grpc_reader_release(&r);
	r = (struct grpc_reader){ .max = 10, .compressed = true };
	rc = grpc_reader_feed(&r, (const uint8_t *)"\1\0\0\0\1x", 6, count,
		&sum, &why);
	is_int(rc, GRPC_UNIMPLEMENTED, "compressed");
	grpc_reader_release(&r);
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static void
test_proxy(void)
{
	static const struct {
		const char *p;
		size_t n;
		long len;
		const char *address;
	} cases[] = {
#define CASE(s, len, a) { s, sizeof(s) - 1, len, a }
		CASE("PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\nxyz", 41,
			"192.0.2.1:1234"),
		CASE("PROXY TCP6 2001:db8::1 ::1 99 443\r\n", 35,
			"[2001:db8::1]:99"),
		CASE("PROXY UNKNOWN\r\n", 15, "unknown"),
		CASE("PROXY TCP4 192.0", 0, ""),
		CASE("PRO", 0, ""),
		CASE("PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n", -1, ""),
		CASE("PROXY TCP4 x 192.0.2.2 1234 443\r\n", -1, ""),
		CASE("GET / HTTP/1.1\r\n", -1, ""),
		CASE("\x16\x03\x01", -1, ""),
		CASE(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\4\xd2\1\xbb",
			28, "192.0.2.1:1234"),
		CASE(V2 "\x20\0\0\0", 16, "unknown"),
		CASE(V2 "\x21\x11\0\x0c\xc0\0", 0, ""),
		CASE(V2 "\x21\x11\0\4\xc0\0\2\1", -1, ""),
		CASE(V2 "\x31\x11\0\x0c", -1, ""),
		CASE(V2 "\x21\x11\xff\xff", -1, ""),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char address[64] = "";
		ssize_t len = proxy_parse((const unsigned char *)cases[i].p,
			cases[i].n, address, sizeof(address));

		is_int(len, cases[i].len, "length of a PROXY header");
		if (len > 0)
			is_str(address, cases[i].address, "whose it is");
	}
}

/* ---- both ends ---- */

static size_t server_ended, server_messages;

static void
echo_message(struct grpc_call *call, const void *p, size_t n)
{
	server_messages++;
	(void)grpc_send(call, p, n);
}

static void
echo_half_closed(struct grpc_call *call)
{
	grpc_finish(call, GRPC_OK, NULL);
}

static void
echo_ended(struct grpc_call *call, int status, const char *why)
{
	(void)call;
	(void)status;
	(void)why;
	server_ended++;
}

static void
echo_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = echo_message,
		.half_closed = echo_half_closed, .ended = echo_ended };

	grpc_handle(call, &handler, arg);
}

static void
unary_message(struct grpc_call *call, const void *p, size_t n)
{
	if (n == 3 && !memcmp(p, "bad", 3)) {
		grpc_finish(call, GRPC_INVALID_ARGUMENT, "50%% \xc3\xa4");
		return;
	}
	(void)grpc_send(call, p, n);
	grpc_finish(call, GRPC_OK, NULL);
}

static void
unary_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = unary_message,
		.ended = echo_ended };

	grpc_handle(call, &handler, arg);
}

/* Never answers, and sends without end. */
static void
silent_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .ended = echo_ended };

	grpc_handle(call, &handler, arg);
}

static void
flood_open(struct grpc_call *call, void *arg)
{
	static char much[60000];

	silent_open(call, arg);
	while (grpc_send(call, much, sizeof(much)))
		;
}

static const struct grpc_method methods[] = {
	{ "/t.T/Echo", false, 200000, 0, echo_open },
	{ "/t.T/Unary", true, 1000, 30000, unary_open },
	{ "/t.T/Silent", false, 1000, 0, silent_open },
	{ "/t.T/Flood", false, 1000, 0, flood_open },
};

struct peer {
	struct loop *loop;
	struct grpc_client *client;
	size_t bytes, want;
	int status;
	char why[200];
	bool drained, down;
};

static void
got(struct grpc_call *call, const void *p, size_t n)
{
	struct peer *peer = grpc_arg(call);

	(void)p;
	peer->bytes += n;
	if (peer->bytes == peer->want)
		grpc_half_close(call);
}

static void
over(struct grpc_call *call, int status, const char *why)
{
	struct peer *peer = grpc_arg(call);

	peer->status = status;
	snprintf(peer->why, sizeof(peer->why), "%s", why);
	loop_stop(peer->loop);
}

static const struct grpc_handler client_handler = { .message = got,
	.ended = over };

static int
ask(struct peer *peer, const char *path, const void *p, size_t n,
	bool half_close, int64_t timeout)
{
	struct err err = ERR_INIT;
	struct grpc_call *call;

	peer->bytes = 0;
	peer->status = -1;
	call = grpc_start(peer->client, path, &client_handler, peer, timeout);
	if (p)
		(void)grpc_send(call, p, n);
	if (half_close)
		grpc_half_close(call);
	if (loop_run(peer->loop, &err))
		printf("# %s\n", err.msg);
	return peer->status;
}

static void
on_drained(void *arg)
{
	struct peer *peer = arg;

	peer->drained = true;
	loop_stop(peer->loop);
}

static void
on_down(struct grpc_client *c, const struct err *why, void *arg)
{
	struct peer *peer = arg;

	(void)c;
	(void)why;
	peer->down = true;
}

static void
test_calls(struct peer *peer)
{
	static char big[150000], huge[300000];

	is_int(ask(peer, "/t.T/Unary", "hi", 2, true, 0), GRPC_OK, "unary");
	is_int((long)peer->bytes, 2, "its answer");
	is_int(ask(peer, "/t.T/Unary", "", 0, true, 0), GRPC_OK,
		"an empty message");
	is_int(ask(peer, "/t.T/Unary", "bad", 3, true, 0),
		GRPC_INVALID_ARGUMENT, "an error");
	is_str(peer->why, "50% \xc3\xa4", "and its text");
	is_int(ask(peer, "/t.T/Unary", NULL, 0, true, 0), GRPC_INTERNAL,
		"unary without a message");
	is_int(ask(peer, "/t.T/Unary", huge, 2000, true, 0),
		GRPC_RESOURCE_EXHAUSTED, "a message beyond the method's");
	is_int(ask(peer, "/t.T/None", "x", 1, true, 0), GRPC_UNIMPLEMENTED,
		"no such method");
	peer->want = sizeof(big);
	is_int(ask(peer, "/t.T/Echo", big, sizeof(big), false, 0), GRPC_OK,
		"a stream, beyond its window");
	is_int((long)peer->bytes, sizeof(big), "all came back");
	is_int(ask(peer, "/t.T/Echo", huge, sizeof(huge), false, 0),
		GRPC_RESOURCE_EXHAUSTED, "too large for the stream");
	is_int(ask(peer, "/t.T/Silent", "x", 1, false, 50),
		GRPC_DEADLINE_EXCEEDED, "the client's deadline");
	is_int(ask(peer, "/t.T/Flood", "x", 1, false, 0),
		GRPC_RESOURCE_EXHAUSTED, "a server that sends too much");
}

static void
test_many(struct peer *peer)
{
	struct grpc_call *call[90];
	struct err err = ERR_INIT;
	size_t before = server_ended, i;

	server_messages = 0;
	for (i = 0; i < ARRAY_SIZE(call); i++) {
		call[i] = grpc_start(peer->client, "/t.T/Echo", NULL, NULL,
			0);
		ok(grpc_send(call[i], "x", 1), "a call more");
	}
	(void)ask(peer, "/t.T/Unary", "hi", 2, true, 0);
	is_int((long)server_messages, 90, "each was heard");
	for (i = 0; i < ARRAY_SIZE(call); i++)
		grpc_cancel(call[i]);
	while (server_ended < before + 91 && !peer->down)
		(void)ask(peer, "/t.T/Unary", "hi", 2, true, 0);
	ok(server_ended >= before + 91, "each was cancelled");
	ok(!peer->down, "the connection bore it");
	(void)err;
}

int
main(void)
{
	char path[] = "/tmp/forge-grpc-XXXXXX", *name = mkdtemp(path);
	CLEANUP_FREE char *where = xasprintf("%s/sock", name);
	struct grpc_server_options so = { .methods = methods,
		.nmethods = ARRAY_SIZE(methods) };
	struct peer peer = { .status = -1 };
	struct grpc_client_options co = { .unix_dir = AT_FDCWD, .path = where,
		.down = on_down, .arg = &peer };
	struct grpc_server *server = NULL;
	struct err err = ERR_INIT;
	int fd = -1, dir = open(name, O_DIRECTORY | O_CLOEXEC);

	test_timeout();
	test_percent();
	test_utf8();
	test_reader();
	test_proxy();
	co.unix_dir = dir;
	co.path = "sock";
	if (loop_open(&peer.loop, &err) || listen_open(where, &fd, &err) ||
		grpc_server_open(peer.loop, fd, &so, &server, &err) ||
		grpc_client_open(peer.loop, &co, &peer.client, &err)) {
		ok(false, err.msg);
		return done();
	}
	test_calls(&peer);
	test_many(&peer);
	is_int((long)grpc_server_connections(server), 1, "one connection");
	grpc_server_drain(server, on_drained, &peer);
	ok(!loop_run(peer.loop, &err) && peer.drained, "drained");
	grpc_server_close(server);
	grpc_client_close(peer.client);
	loop_close(peer.loop);
	(void)close(dir);
	(void)unlink(where);
	(void)rmdir(name);
	return done();
}
