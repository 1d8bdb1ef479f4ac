#include "lib/net/grpc_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>

#include "lib/base/mem.h"
#include "lib/net/proxy.h"
#include "lib/base/banned.h"

#define ACCEPTS 64 /* in one batch */
#define RETRY 200 /* ms, when there are no fds left */
#define STRANGERS 1024 /* buckets */

#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

/* Connections of one address that have not shown a good certificate. */
struct stranger {
	struct stranger *next;
	char host[64];
	size_t n;
};

struct grpc_server {
	struct loop *loop;
	struct loop_fd listener;
	struct loop_timer retry;
	struct loop_later bury;
	struct grpc_server_options o;
	struct grpc_conn *conns;
	size_t n;
	struct stranger *strangers[STRANGERS];
	bool paused; /* at max_connections */
	bool draining, closed;
	void (*drained)(void *arg);
	void *drained_arg;
	uint8_t io[CONN_IO];
};

/* ---- how many from one address ---- */

static struct stranger **
bucket(struct grpc_server *s, const char *host)
{
	uint32_t hash = 2166136261u;
	const char *p;

	for (p = host; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return &s->strangers[hash % STRANGERS];
}

static bool
stranger_add(struct grpc_conn *c)
{
	struct grpc_server *s = c->server;
	const char *port = strrchr(c->peer.address, ':');
	struct stranger **at, *found;
	char host[64];

	snprintf(host, sizeof(host), "%.*s",
		port ? (int)(port - c->peer.address) : 63, c->peer.address);
	at = bucket(s, host);
	for (found = *at; found && strcmp(found->host, host) != 0;)
		found = found->next;
	if (!found) {
		found = xcalloc(1, sizeof(*found));
		snprintf(found->host, sizeof(found->host), "%s", host);
		found->next = *at;
		*at = found;
	}
	found->n++;
	c->stranger = found;
	return found->n <= s->o.max_strangers;
}

static void
stranger_drop(struct grpc_conn *c)
{
	struct stranger *gone = c->stranger, **at;

	c->stranger = NULL;
	if (!gone || --gone->n)
		return;
	at = bucket(c->server, gone->host);
	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	free(gone);
}

/* ---- connections ---- */

static void
shake_hands(struct grpc_conn *c)
{
	struct grpc_server *s = c->server;

	if (!stranger_add(c)) {
		conn_kill(c, "too many connections from this address");
		return;
	}
	if (!s->o.tls) {
		conn_established(c);
		return;
	}
	c->ssl = tls_accept(s->o.tls, c->fd.fd);
	if (!c->ssl)
		conn_kill(c, "TLS: no memory");
	else
		c->state = CONN_SHAKING;
}

bool
server_meet(struct grpc_conn *c)
{
	tls_peer(c->ssl, &c->peer.tls);
	if (c->peer.tls.kind == TLS_PEER_GOOD)
		stranger_drop(c);
	return true;
}

void
server_preface(struct grpc_conn *c)
{
	unsigned char head[PROXY_MAX];
	ssize_t n = recv(c->fd.fd, head, sizeof(head), MSG_PEEK), len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_kill(c, "the connection was lost");
		return;
	}
	len = proxy_parse(head, (size_t)n, c->peer.address,
		sizeof(c->peer.address));
	if (len < 0 || (!len && n == sizeof(head))) {
		conn_kill(c, "no PROXY header");
		return;
	}
	/* A part of a header would wake us without end. */
	if (!len) {
		int want = (int)n + 1;

		(void)setsockopt(c->fd.fd, SOL_SOCKET, SO_RCVLOWAT, &want,
			sizeof(want));
		return;
	}
	if (recv(c->fd.fd, head, (size_t)len, 0) != len) {
		conn_kill(c, "the connection was lost");
		return;
	}
	(void)setsockopt(c->fd.fd, SOL_SOCKET, SO_RCVLOWAT, &(int){ 1 },
		sizeof(int));
	shake_hands(c);
}

static void
name_peer(struct grpc_peer *peer, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *in = (const void *)from;
	const struct sockaddr_in6 *in6 = (const void *)from;
	char text[INET6_ADDRSTRLEN] = "";

	if (from->ss_family == AF_INET) {
		(void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		snprintf(peer->address, sizeof(peer->address), "%s:%u", text,
			ntohs(in->sin_port));
	} else if (from->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, text,
			sizeof(text));
		snprintf(peer->address, sizeof(peer->address), "[%s]:%u",
			text, ntohs(in6->sin6_port));
	} else {
		peer->local = true;
		snprintf(peer->address, sizeof(peer->address), "local");
	}
}

static void
welcome(struct grpc_server *s, int fd, const struct sockaddr_storage *from)
{
	struct grpc_conn *c = conn_new(s->loop, fd, s->io);
	struct err err = ERR_INIT;

	c->patience = &s->o.patience;
	name_peer(&c->peer, from);
	if (!c->peer.local)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
			sizeof(int));
	c->server = s;
	c->next = s->conns;
	if (c->next)
		c->next->prev = &c->next;
	c->prev = &s->conns;
	s->conns = c;
	s->n++;
	c->state = s->o.proxy ? CONN_PREFACED : CONN_SHAKING;
	if (conn_start(c, EPOLLIN, &err))
		conn_kill(c, err.msg);
	else if (!s->o.proxy)
		shake_hands(c);
}

static void
on_retry(struct loop_timer *t)
{
	struct grpc_server *s = CONTAINER(t, struct grpc_server, retry);

	s->paused = false;
	loop_mod(s->loop, &s->listener, EPOLLIN);
}

/* Those who come wait in the kernel's queue. */
static void
pause_accept(struct grpc_server *s)
{
	s->paused = true;
	loop_mod(s->loop, &s->listener, 0);
	loop_timer_set(s->loop, &s->retry, loop_now(s->loop) + RETRY);
}

static void
on_accept(struct loop_fd *l, uint32_t events)
{
	struct grpc_server *s = CONTAINER(l, struct grpc_server, listener);
	int i;

	(void)events;
	for (i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage from = { .ss_family = AF_UNIX };
		socklen_t size = sizeof(from);
		int fd;

		if (s->n >= s->o.max_connections) {
			pause_accept(s);
			return;
		}
		fd = accept4(l->fd, (struct sockaddr *)&from, &size,
			SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE ||
				      errno == ENOBUFS || errno == ENOMEM))
			pause_accept(s);
		if (fd < 0)
			return;
		welcome(s, fd, &from);
	}
}

/* ---- calls ---- */

static const struct grpc_method *
find_method(const struct grpc_server *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->o.nmethods; i++)
		if (!strcmp(s->o.methods[i].path, path))
			return &s->o.methods[i];
	return NULL;
}

static void
refuse_http(struct grpc_call *call, const char *status)
{
	const nghttp2_nv nv[] = { { (uint8_t *)(uintptr_t) ":status",
		(uint8_t *)(uintptr_t)status, strlen(":status"),
		strlen(status), NGHTTP2_NV_FLAG_NONE } };

	call->finished = call->headed = true;
	call->status = GRPC_INTERNAL;
	(void)nghttp2_submit_response(call->conn->h2, call->id, nv, 1, NULL);
	conn_dirty(call->conn);
}

static void
set_deadline(struct grpc_call *call)
{
	int64_t ms = call->timeout ? call->timeout : call->method->timeout;

	if (ms)
		grpc_deadline(call, loop_now(call->loop) + ms);
}

void
server_route(struct grpc_call *call)
{
	struct grpc_server *s = call->conn->server;

	if (!call->post || !call->is_grpc || !call->path) {
		refuse_http(call, call->post ? "415" : "405");
		return;
	}
	call->method = find_method(s, call->path);
	if (!call->method) {
		grpc_finish(call, GRPC_UNIMPLEMENTED, "no such method");
		return;
	}
	if (call->timeout < 0) {
		grpc_finish(call, GRPC_INTERNAL, "malformed grpc-timeout");
		return;
	}
	if (s->draining) {
		grpc_finish(call, GRPC_UNAVAILABLE, "shutting down");
		return;
	}
	call->reader.max = call->method->max;
	set_deadline(call);
	call->method->open(call, s->o.arg);
}

/* ---- life ---- */

static void
on_bury(struct loop_later *l)
{
	free(CONTAINER(l, struct grpc_server, bury));
}

static void
look_drained(struct grpc_server *s)
{
	void (*drained)(void *arg) = s->drained;

	if (s->n || !s->draining)
		return;
	if (s->closed) {
		loop_later(s->loop, &s->bury);
		return;
	}
	s->drained = NULL;
	if (drained)
		drained(s->drained_arg);
}

void
server_forget(struct grpc_conn *c)
{
	struct grpc_server *s = c->server;

	stranger_drop(c);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n--;
	c->server = NULL;
	look_drained(s);
}

static void
set_usual(struct grpc_server_options *o)
{
	struct grpc_patience *p = &o->patience;

	o->max_connections = o->max_connections ? o->max_connections : 4096;
	o->max_strangers = o->max_strangers ? o->max_strangers : 1024;
	p->handshake = p->handshake ? p->handshake : conn_patience.handshake;
	p->idle = p->idle ? p->idle : conn_patience.idle;
	p->ping = p->ping ? p->ping : conn_patience.ping;
	p->stall = p->stall ? p->stall : conn_patience.stall;
}

int
grpc_server_open(struct loop *loop, int fd,
	const struct grpc_server_options *o, struct grpc_server **ret,
	struct err *err)
{
	struct grpc_server *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->o = *o;
	set_usual(&s->o);
	s->retry.fire = on_retry;
	s->bury.run = on_bury;
	s->listener = (struct loop_fd){ .fd = fd, .ready = on_accept };
	if (loop_add(loop, &s->listener, EPOLLIN, err)) {
		(void)close(fd); /* nothing was written */
		free(s);
		return -1;
	}
	if (s->o.tls)
		SSL_CTX_up_ref(s->o.tls);
	*ret = s;
	return 0;
}

void
grpc_server_tls(struct grpc_server *s, struct ssl_ctx_st *tls)
{
	SSL_CTX_up_ref(tls);
	tls_free(s->o.tls);
	s->o.tls = tls;
}

static void
stop_listening(struct grpc_server *s)
{
	if (s->listener.fd < 0)
		return;
	loop_del(s->loop, &s->listener);
	loop_timer_clear(s->loop, &s->retry);
	(void)close(s->listener.fd); /* nothing was written */
	s->listener.fd = -1;
}

void
grpc_server_drain(struct grpc_server *s, void (*drained)(void *arg),
	void *arg)
{
	struct grpc_conn *c;
	struct grpc_call *call;

	stop_listening(s);
	s->draining = true;
	s->drained = drained;
	s->drained_arg = arg;
	for (c = s->conns; c; c = c->next) {
		if (c->state != CONN_OPEN) {
			conn_kill(c, "shutting down");
			continue;
		}
		for (call = c->calls; call; call = call->next)
			grpc_finish(call, GRPC_UNAVAILABLE, "shutting down");
		(void)nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE,
			nghttp2_session_get_last_proc_stream_id(c->h2),
			NGHTTP2_NO_ERROR, NULL, 0);
		conn_close_soon(c);
	}
	look_drained(s);
}

void
grpc_server_close(struct grpc_server *s)
{
	struct grpc_conn *c;

	if (!s)
		return;
	stop_listening(s);
	tls_free(s->o.tls);
	s->o.tls = NULL;
	s->draining = s->closed = true;
	for (c = s->conns; c; c = c->next)
		conn_kill(c, "shutting down");
	look_drained(s);
}

size_t
grpc_server_connections(const struct grpc_server *s)
{
	return s->n;
}
