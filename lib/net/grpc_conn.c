#include "lib/net/grpc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define READS 16 /* of CONN_IO bytes, before others have their turn */
#define BACKLOG 1000 /* frames unsent: then nothing is read */
#define ALLOWANCE 2000 /* frames without content, at once */
#define ALLOWANCE_RATE 200 /* a second */

static void on_ready(struct loop_fd *l, uint32_t events);
static void on_timer(struct loop_timer *t);
static void on_flush(struct loop_later *l);
static void on_bury(struct loop_later *l);

#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

/* ---- life ---- */

const struct grpc_patience conn_patience = { .handshake = 10000,
	.idle = 300000, .ping = 30000, .stall = 20000 };

struct grpc_conn *
conn_new(struct loop *loop, int fd, uint8_t *io)
{
	struct grpc_conn *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->io = io;
	c->patience = &conn_patience;
	c->fd = (struct loop_fd){ .fd = fd, .ready = on_ready };
	c->timer.fire = on_timer;
	c->flush.run = on_flush;
	c->bury.run = on_bury;
	c->parked = BUF_INIT;
	/* A client's may be made long before the loop runs. */
	c->began = c->heard = c->idle = c->allowed_at = clock_mono();
	c->pinged = c->stalled = -1;
	c->allowance = ALLOWANCE;
	return c;
}

int
conn_start(struct grpc_conn *c, uint32_t events, struct err *err)
{
	if (loop_add(c->loop, &c->fd, events, err))
		return -1;
	conn_schedule(c);
	return 0;
}

static void
on_bury(struct loop_later *l)
{
	struct grpc_conn *c = CONTAINER(l, struct grpc_conn, bury);

	while (c->calls)
		call_end(c->calls, GRPC_UNAVAILABLE, c->why.msg);
	if (c->server)
		server_forget(c);
	if (c->client)
		client_gone(c);
	nghttp2_session_del(c->h2);
	if (c->ssl)
		SSL_free(c->ssl);
	if (c->fd.fd >= 0)
		(void)close(c->fd.fd); /* its stream is over */
	buf_release(&c->parked);
	free(c);
}

void
conn_kill(struct grpc_conn *c, const char *why)
{
	if (c->state == CONN_DEAD)
		return;
	if (c->ssl && c->state == CONN_OPEN && !c->parked.len) {
		ERR_clear_error();
		(void)SSL_shutdown(c->ssl); /* a courtesy */
		ERR_clear_error();
	}
	c->state = CONN_DEAD;
	(void)err_set(&c->why, ERR_NET, "%s", why);
	loop_del(c->loop, &c->fd);
	loop_timer_clear(c->loop, &c->timer);
	loop_later(c->loop, &c->bury);
}

void
conn_dirty(struct grpc_conn *c)
{
	if (c->state == CONN_OPEN)
		loop_later(c->loop, &c->flush);
}

void
conn_close_soon(struct grpc_conn *c)
{
	c->closing = true;
	conn_dirty(c);
}

bool
conn_charge(struct grpc_conn *c, int cost)
{
	int64_t now = loop_now(c->loop);

	c->allowance += (now - c->allowed_at) * ALLOWANCE_RATE / 1000;
	c->allowed_at = now;
	if (c->allowance > ALLOWANCE)
		c->allowance = ALLOWANCE;
	c->allowance -= cost;
	if (c->allowance >= 0)
		return true;
	if (!c->closing) {
		(void)nghttp2_session_terminate_session(c->h2,
			NGHTTP2_ENHANCE_YOUR_CALM);
		conn_close_soon(c);
	}
	return false;
}

/* ---- timers ---- */

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void
conn_schedule(struct grpc_conn *c)
{
	int64_t at;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_PREFACED)
		at = c->began + CONN_PROXY;
	else if (c->state != CONN_OPEN || !c->spoken)
		at = c->began + c->patience->handshake;
	else if (c->peer.local) /* the kernel tells when it is gone */
		at = INT64_MAX;
	else
		at = c->pinged >= 0 ? c->pinged + c->patience->ping / 2 :
				      c->heard + c->patience->ping;
	if (c->stalled >= 0)
		at = sooner(at, c->stalled + c->patience->stall);
	if (c->server && c->state == CONN_OPEN && !c->ncalls)
		at = sooner(at, c->idle + c->patience->idle);
	if (at < INT64_MAX)
		loop_timer_set(c->loop, &c->timer, at);
	else
		loop_timer_clear(c->loop, &c->timer);
}

/* Why it should end now, or NULL. */
static const char *
overdue(const struct grpc_conn *c, int64_t now)
{
	if (c->state == CONN_PREFACED && now >= c->began + CONN_PROXY)
		return "no PROXY header came in time";
	if ((c->state != CONN_OPEN || !c->spoken) &&
		now >= c->began + c->patience->handshake)
		return "the connection was not made in time";
	if (c->stalled >= 0 && now >= c->stalled + c->patience->stall)
		return "the peer does not read";
	if (c->pinged >= 0 && now >= c->pinged + c->patience->ping / 2)
		return "the peer does not answer";
	if (c->server && !c->ncalls && now >= c->idle + c->patience->idle)
		return "idle";
	return NULL;
}

static void
on_timer(struct loop_timer *t)
{
	struct grpc_conn *c = CONTAINER(t, struct grpc_conn, timer);
	int64_t now = loop_now(c->loop);
	const char *why = overdue(c, now);

	if (why) {
		conn_kill(c, why);
		return;
	}
	if (c->state == CONN_OPEN && c->pinged < 0 && !c->peer.local &&
		now >= c->heard + c->patience->ping) {
		c->pinged = now;
		(void)nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, NULL);
		conn_dirty(c);
	}
	conn_schedule(c);
}

/* ---- reading and writing ---- */

/* As read(2) and write(2): -1 and EAGAIN to come again. */
static ssize_t
tls_result(struct grpc_conn *c, int rc)
{
	int error = SSL_get_error(c->ssl, rc);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		c->want_write |= error == SSL_ERROR_WANT_WRITE;
		errno = EAGAIN;
		return -1;
	}
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_SYSCALL)
		return errno ? -1 : 0;
	errno = EPROTO;
	return -1;
}

static ssize_t
conn_read(struct grpc_conn *c)
{
	int rc;

	if (!c->ssl)
		return recv(c->fd.fd, c->io, CONN_IO, 0);
	ERR_clear_error();
	errno = 0;
	rc = SSL_read(c->ssl, c->io, CONN_IO);
	return rc > 0 ? rc : tls_result(c, rc);
}

static ssize_t
conn_write(struct grpc_conn *c, const void *p, size_t n)
{
	int rc;

	if (!c->ssl)
		return send(c->fd.fd, p, n, MSG_NOSIGNAL);
	ERR_clear_error();
	errno = 0;
	rc = SSL_write(c->ssl, p, (int)n);
	return rc > 0 ? rc : tls_result(c, rc);
}

/* 0 all is out, 1 the socket is full, -1 killed. */
static int
write_parked(struct grpc_conn *c)
{
	size_t at = 0;
	ssize_t n;

	while (at < c->parked.len) {
		n = conn_write(c, c->parked.s + at, c->parked.len - at);
		if (n <= 0)
			break;
		at += (size_t)n;
		c->stalled = -1;
	}
	if (at == c->parked.len) {
		buf_release(&c->parked);
		return 0;
	}
	if (errno != EAGAIN && errno != EINTR) {
		conn_kill(c, "the connection was lost");
		return -1;
	}
	buf_consume(&c->parked, at);
	return 1;
}

/* Frames together make a TLS record. */
static int
gather(struct grpc_conn *c)
{
	while (c->parked.len < CONN_IO) {
		const uint8_t *p;
		ssize_t n = nghttp2_session_mem_send(c->h2, &p);

		if (n < 0) {
			conn_kill(c, "HTTP/2: cannot send");
			return -1;
		}
		if (!n)
			break;
		buf_add(&c->parked, p, (size_t)n);
	}
	return 0;
}

static void
await(struct grpc_conn *c, bool full)
{
	uint32_t events = full || c->want_write ? EPOLLOUT : 0;

	if (!full ||
		nghttp2_session_get_outbound_queue_size(c->h2) < BACKLOG)
		events |= EPOLLIN;
	if (full && c->stalled < 0) {
		c->stalled = loop_now(c->loop);
		conn_schedule(c);
	}
	loop_mod(c->loop, &c->fd, events);
}

static void
on_flush(struct loop_later *l)
{
	struct grpc_conn *c = CONTAINER(l, struct grpc_conn, flush);
	int rc = 0;

	if (c->state != CONN_OPEN)
		return;
	for (;;) {
		rc = write_parked(c);
		if (rc < 0)
			return;
		if (rc || gather(c) || !c->parked.len)
			break;
	}
	if (c->state != CONN_OPEN)
		return;
	if (!rc && ((!nghttp2_session_want_read(c->h2) &&
			    !nghttp2_session_want_write(c->h2)) ||
			   (c->closing && !c->ncalls))) {
		conn_kill(c, "closed");
		return;
	}
	await(c, rc);
}

static void
receive(struct grpc_conn *c)
{
	int i;

	for (i = 0; i < READS && c->state == CONN_OPEN; i++) {
		ssize_t n = conn_read(c);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			conn_kill(c, "the connection was lost");
			return;
		}
		c->heard = loop_now(c->loop);
		c->pinged = -1;
		/* Every negative return is fatal, also those of no name. */
		if (nghttp2_session_mem_recv(c->h2, c->io, (size_t)n) < 0) {
			on_flush(&c->flush); /* a GOAWAY, perhaps */
			conn_kill(c, "HTTP/2: the peer breaks its rules");
			return;
		}
	}
	conn_dirty(c);
}

/* ---- the handshake ---- */

void
conn_established(struct grpc_conn *c)
{
	c->state = CONN_OPEN;
	if (h2_open(c)) {
		conn_kill(c, "HTTP/2: no memory");
		return;
	}
	if (c->client)
		client_established(c);
	conn_schedule(c);
	conn_dirty(c);
}

static void
shake(struct grpc_conn *c)
{
	struct err err = ERR_INIT;
	int rc, error;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rc);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		loop_mod(c->loop, &c->fd, error == SSL_ERROR_WANT_WRITE ?
				EPOLLOUT :
				EPOLLIN);
		return;
	}
	if (rc != 1) {
		(void)tls_error(&err, "TLS");
		conn_kill(c, err.msg);
		return;
	}
	if (!tls_is_h2(c->ssl)) {
		conn_kill(c, "TLS: the peer does not speak HTTP/2");
		return;
	}
	if (c->server && !server_meet(c))
		return;
	loop_mod(c->loop, &c->fd, EPOLLIN);
	conn_established(c);
	if (c->state == CONN_OPEN)
		receive(c);
}

static void
on_ready(struct loop_fd *l, uint32_t events)
{
	struct grpc_conn *c = CONTAINER(l, struct grpc_conn, fd);

	if (c->state == CONN_DIALING)
		client_dialed(c);
	if (c->state == CONN_PREFACED)
		server_preface(c);
	if (c->state == CONN_SHAKING) {
		shake(c);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	if (events & EPOLLOUT) {
		c->want_write = false;
		conn_dirty(c);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(c);
}
