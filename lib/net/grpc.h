/*
 * grpc: remote procedure calls as gRPC has them, over HTTP/2 and TLS 1.3 (or
 * plain, on a Unix socket): both ends, calls of one answer and streams.
 *
 * Everything happens in the thread of a struct loop, by callbacks:
 *
 *	static const struct grpc_method methods[] = {
 *		{ .path = "/pkg.Service/Method", .unary = true,
 *			.max = 65536, .open = method_open } };
 *	struct grpc_server_options o = { .methods = methods, ... };
 *	if (grpc_server_open(loop, fd, &o, &server, err)) ...
 *
 *	static void
 *	method_open(struct grpc_call *call, void *arg)
 *	{
 *		grpc_handle(call, &handler, arg);
 *	}
 *
 * and at the other end
 *
 *	grpc_client_open(loop, &options, &client, err)
 *	options.up(client, ...)		the server has answered
 *	call = grpc_start(client, "/pkg.Service/Method", &handler, arg, 0);
 *	grpc_send(call, p, n); grpc_half_close(call);
 *
 * A call lives until its handler's ended() returns; that is called exactly
 * once, whatever happens.  A message is bytes, borrowed for the callback;
 * what is in them is protobuf-c's business.
 *
 * Bounds: a message of a method's max, GRPC_QUEUE_MAX bytes of a call and
 * four times that of a connection (a quarter for who has no certificate and is
 * not local) waiting to go out, 100 calls and 16 KiB of
 * headers a connection, deadlines for handshake, idleness, a peer that does
 * not read and one that does not answer PING; resets, settings, pings and
 * other frames without content are counted and end a connection.
 */
#ifndef FORGE_NET_GRPC_H
#define FORGE_NET_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/net/grpc_wire.h"
#include "lib/net/loop.h"
#include "lib/net/tls.h"

struct grpc_call;
struct grpc_server;
struct grpc_client;

#define GRPC_QUEUE_MAX (1 << 20) /* bytes that one call may have unsent */
#define GRPC_QUEUE_LOW (1 << 16) /* drained() comes below this */

/* Any may be NULL. */
struct grpc_handler {
	void (*message)(struct grpc_call *call, const void *p, size_t n);
	/* Server: the client sends no more. */
	void (*half_closed)(struct grpc_call *call);
	/* The queue has been above GRPC_QUEUE_LOW, and is below again. */
	void (*drained)(struct grpc_call *call);
	/* The last one: how it ended; why is "" or one line of the peer's. */
	void (*ended)(struct grpc_call *call, int status, const char *why);
};

/* Who is at the other end of a server's call. */
struct grpc_peer {
	struct tls_peer tls; /* TLS_PEER_NONE without TLS */
	bool local; /* by a Unix socket, without TLS */
	char address[64]; /* "192.0.2.1:1234", "local" */
};

/* ---- calls, at both ends ---- */

void grpc_handle(struct grpc_call *call, const struct grpc_handler *handler,
	void *arg);
void *grpc_arg(const struct grpc_call *call);
/*
 * Queue a message; false when the call has ended, or has just been ended
 * (RESOURCE_EXHAUSTED) because the peer does not read.
 */
bool grpc_send(struct grpc_call *call, const void *p, size_t n);
/* Bytes queued and not sent yet. */
size_t grpc_queued(const struct grpc_call *call);
/* The peer may send 64 KiB more, and then nothing until this is undone. */
void grpc_pause(struct grpc_call *call, bool pause);
/* Deadline, monotonic ms, -1: none; then DEADLINE_EXCEEDED. */
void grpc_deadline(struct grpc_call *call, int64_t at);

/* ---- server ---- */

struct grpc_method {
	const char *path;
	bool unary; /* message() comes once, when the client has half-closed */
	size_t max; /* bytes of a message in */
	int64_t timeout; /* ms, when the client names none; 0: none */
	/* A call came: give it a handler, or end it. */
	void (*open)(struct grpc_call *call, void *arg);
};

/* How long a connection is borne, ms; 0: as long as said here. */
struct grpc_patience {
	int64_t handshake; /* 10 s: from connect to the first SETTINGS */
	int64_t idle; /* 5 min without a call */
	int64_t ping; /* 30 s without a frame: then half of that for a PING */
	int64_t stall; /* 20 s: we send, and it takes nothing */
};

struct grpc_server_options {
	const struct grpc_method *methods; /* for the server's life */
	size_t nmethods;
	void *arg; /* for open() */
	struct ssl_ctx_st *tls; /* NULL: plain; its own reference is taken */
	bool proxy; /* a PROXY header (v1 or v2) comes before TLS */
	size_t max_connections; /* 0: 4096; at it, accepting waits */
	size_t max_strangers; /* 0: 1024: from one address, without a good
		certificate; the next is closed */
	struct grpc_patience patience;
};

/* fd is listening, and taken over. */
int grpc_server_open(struct loop *loop, int fd,
	const struct grpc_server_options *o, struct grpc_server **ret,
	struct err *err) __attribute__((warn_unused_result));
/* For connections from now on. */
void grpc_server_tls(struct grpc_server *s, struct ssl_ctx_st *tls);
/* Accept no more, end calls with UNAVAILABLE and connections when that is
 * sent; drained(arg) when there is none left. */
void grpc_server_drain(struct grpc_server *s, void (*drained)(void *arg),
	void *arg);
/* At once; ended() is called for what still lives. */
void grpc_server_close(struct grpc_server *s);
size_t grpc_server_connections(const struct grpc_server *s);

const struct grpc_peer *grpc_peer(const struct grpc_call *call);
/* Send the headers now, not with the first message. */
void grpc_accept(struct grpc_call *call);
/* After what is queued; the text is one line.  Twice is once. */
void grpc_finish(struct grpc_call *call, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- client ---- */

struct grpc_client_options {
	const char *host; /* name or address */
	int port;
	int unix_dir; /* with path instead: relative to this directory */
	const char *path; /* of a Unix socket, plain; NULL: host and port */
	struct ssl_ctx_st *tls;
	size_t max; /* bytes of a message in; 0: 1 MiB */
	/* The server has spoken; calls may be started earlier. */
	void (*up)(struct grpc_client *c, void *arg);
	/* The connection is lost or was never made; its calls have ended
	 * UNAVAILABLE.  grpc_client_close() may be called here. */
	void (*down)(struct grpc_client *c, const struct err *why, void *arg);
	void *arg;
};

/*
 * Connect.  A name is looked up here and now; everything else goes on in the
 * loop, with a deadline of 10 s until up().
 */
int grpc_client_open(struct loop *loop, const struct grpc_client_options *o,
	struct grpc_client **ret, struct err *err)
	__attribute__((warn_unused_result));
/* Its calls end CANCELLED; down() is not called. */
void grpc_client_close(struct grpc_client *c);

/* Not after down().  timeout: ms, 0 none.  On a connection that is lost, or
 * not made, the call ends UNAVAILABLE. */
struct grpc_call *grpc_start(struct grpc_client *c, const char *path,
	const struct grpc_handler *handler, void *arg, int64_t timeout);
void grpc_half_close(struct grpc_call *call);
/* ended() may come before this returns. */
void grpc_cancel(struct grpc_call *call);

/*
 * One call and its answer, with a connection and a loop of their own: for
 * programs that have no loop.  out is the request; ret gets the answer.
 * ERR_NET when there is no connection, else by the status: UNAUTHENTICATED
 * ERR_AUTH, INVALID_ARGUMENT ERR_INVALID, NOT_FOUND ERR_NOTFOUND,
 * DEADLINE_EXCEEDED ERR_TIMEOUT, RESOURCE_EXHAUSTED ERR_LIMIT, others
 * ERR_NET; the message is the server's.  o's callbacks are not used.
 */
int grpc_unary(const struct grpc_client_options *o, const char *path,
	const void *p, size_t n, int64_t timeout, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
