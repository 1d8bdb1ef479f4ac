/*
 * Only for lib/net/grpc_*.c.  A connection (grpc_conn.c: fd, TLS, timers)
 * has an nghttp2 session (grpc_h2.c: its callbacks) with calls (grpc_call.c);
 * it belongs to a server (grpc_server.c) or is a client (grpc_client.c).
 *
 * Nothing is freed while a callback may be on the stack: conn_kill() and
 * call_end() mark, and the loop's end of batch frees.
 */
#ifndef FORGE_NET_GRPC_INTERNAL_H
#define FORGE_NET_GRPC_INTERNAL_H

#include <nghttp2/nghttp2.h>
#include "lib/base/buf.h"
#include "lib/net/grpc.h"

#define CONN_CALLS 100
#define CONN_HEADERS 16384 /* bytes of a header list */
#define CONN_WINDOW (1 << 20)
#define CONN_QUEUE_MAX (4 * GRPC_QUEUE_MAX)
#define CONN_STRANGER_QUEUE (GRPC_QUEUE_MAX / 4)
#define CONN_PROXY 5000 /* ms for the PROXY header */
#define CONN_IO 16384 /* a TLS record */

enum conn_state {
	CONN_DIALING, /* client: connect(2) goes on */
	CONN_PREFACED, /* server: the PROXY header is awaited */
	CONN_SHAKING,
	CONN_OPEN, /* HTTP/2 */
	CONN_DEAD,
};

struct grpc_conn {
	struct loop *loop;
	struct loop_fd fd;
	struct loop_timer timer;
	struct loop_later flush, bury;
	enum conn_state state;
	struct ssl_st *ssl; /* NULL: plain */
	nghttp2_session *h2;
	uint8_t *io; /* CONN_IO bytes, shared by all of a server */
	struct buf parked; /* what the socket did not take */
	struct grpc_call *calls;
	size_t ncalls;
	size_t queued; /* by all calls */
	bool want_write; /* TLS asks for it, to read on */
	bool closing; /* end when all is sent */
	bool spoken; /* the peer's SETTINGS have come */
	int64_t began, heard, pinged, stalled, idle; /* mono ms, -1: not */
	int64_t allowance, allowed_at; /* frames without content */
	const struct grpc_patience *patience;
	struct grpc_server *server; /* or NULL */
	struct grpc_client *client;
	struct grpc_conn *next, **prev; /* of the server */
	struct grpc_peer peer;
	struct stranger *stranger; /* counted as one */
	struct err why; /* it is dead */
};

struct grpc_call {
	struct grpc_conn *conn; /* NULL: the connection is gone */
	struct grpc_call *next, **prev;
	struct loop *loop;
	struct loop_timer timer;
	struct loop_later bury;
	int32_t id;
	const struct grpc_handler *handler;
	void *arg;
	const struct grpc_method *method; /* server, when routed */
	struct grpc_reader reader;
	struct buf first; /* unary: the message, until half-closed */
	struct buf out;
	size_t out_at;
	size_t unconsumed; /* of the window, while paused */
	size_t headers; /* bytes of the list that comes */
	char *path; /* server: asked for */
	int64_t timeout; /* asked for; 0 none, -1 malformed */
	char *why; /* the status' text */
	int status;
	bool is_grpc; /* content-type */
	bool post;
	bool has_first;
	bool half_closed; /* by the peer */
	bool closing; /* by us: after what is queued */
	bool finished; /* status is decided */
	bool headed; /* server: headers are sent; client: have come */
	bool deferred; /* nghttp2 waits for more */
	bool paused;
	bool high; /* drained() is owed */
	bool ended;
};

/* grpc_conn.c */
extern const struct grpc_patience conn_patience; /* as usual */
struct grpc_conn *conn_new(struct loop *loop, int fd, uint8_t *io);
int conn_start(struct grpc_conn *c, uint32_t events, struct err *err);
/* Flush at the end of the batch. */
void conn_dirty(struct grpc_conn *c);
/* Free it at the end of the batch; its calls end UNAVAILABLE. */
void conn_kill(struct grpc_conn *c, const char *why);
/* End when everything is sent. */
void conn_close_soon(struct grpc_conn *c);
/* Each frame without content costs; false: it was killed. */
bool conn_charge(struct grpc_conn *c, int cost);
/* The timer's next time. */
void conn_schedule(struct grpc_conn *c);
/* The handshake is over, or not needed. */
void conn_established(struct grpc_conn *c);

/* grpc_h2.c */
int h2_open(struct grpc_conn *c);

/* grpc_memory.c */
nghttp2_mem *h2_memory(void);

/* grpc_call.c */
struct grpc_call *call_new(struct grpc_conn *c, int32_t id);
/* The callback, once; then it is freed. */
void call_end(struct grpc_call *call, int status, const char *why);
void call_data(struct grpc_call *call, const uint8_t *p, size_t n);
void call_half_closed(struct grpc_call *call);
ssize_t call_read(nghttp2_session *h2, int32_t id, uint8_t *p, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *arg);
int call_status_of(uint32_t h2_error);

/* grpc_server.c */
void server_route(struct grpc_call *call);
void server_forget(struct grpc_conn *c);
/* Who it is, after its handshake; false: too many like it. */
bool server_meet(struct grpc_conn *c);
/* The PROXY header may be there. */
void server_preface(struct grpc_conn *c);

/* grpc_client.c */
void client_dialed(struct grpc_conn *c);
void client_established(struct grpc_conn *c);
void client_up(struct grpc_conn *c);
void client_gone(struct grpc_conn *c);

#endif
