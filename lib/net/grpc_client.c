#include "lib/net/grpc_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <openssl/ssl.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define MESSAGE_MAX (1 << 20)

struct grpc_client {
	struct grpc_client_options o;
	struct grpc_conn *conn; /* NULL: gone */
	char *host, *authority;
	bool closed;
	uint8_t io[CONN_IO];
};

/* ---- dialing ---- */

static int
dial(const struct sockaddr *to, socklen_t n, int *ret_fd, struct err *err)
{
	CLEANUP_CLOSE int fd = socket(to->sa_family,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	if (to->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
			sizeof(int));
	if (connect(fd, to, n) && errno != EINPROGRESS) {
		(void)err_sys(err, "connect");
		err->code = ERR_NET;
		return -1;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Through the directory's fd: a path of a socket has only 107 bytes. */
static int
dial_unix(const struct grpc_client_options *o, int *ret_fd, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s",
		    o->unix_dir, o->path) >= (int)sizeof(to.sun_path))
		return err_set(err, ERR_INVALID, "'%s': too long", o->path);
	return dial((const struct sockaddr *)&to, sizeof(to), ret_fd, err);
}

static int
dial_host(const struct grpc_client_options *o, int *ret_fd, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL, *a;
	char port[16];
	int rc;

	snprintf(port, sizeof(port), "%d", o->port);
	rc = getaddrinfo(o->host, port, &hints, &list);
	if (rc)
		return err_set(err, ERR_NET, "cannot find '%s': %s", o->host,
			gai_strerror(rc));
	rc = -1;
	for (a = list; a && rc; a = a->ai_next)
		rc = dial(a->ai_addr, a->ai_addrlen, ret_fd, err);
	freeaddrinfo(list);
	return rc;
}

void
client_dialed(struct grpc_conn *c)
{
	const struct grpc_client_options *o = &c->client->o;
	struct err err = ERR_INIT;
	socklen_t n = sizeof(errno);
	int error = 0;

	if (getsockopt(c->fd.fd, SOL_SOCKET, SO_ERROR, &error, &n) || error) {
		errno = error;
		(void)err_sys(&err, "cannot connect to '%s'",
			c->client->authority);
		conn_kill(c, err.msg);
		return;
	}
	loop_mod(c->loop, &c->fd, EPOLLIN);
	if (!o->tls || o->path) {
		conn_established(c);
		return;
	}
	c->ssl = tls_connect(o->tls, c->fd.fd, o->host);
	if (!c->ssl)
		conn_kill(c, "TLS: not a host name");
	else
		c->state = CONN_SHAKING;
}

void
client_up(struct grpc_conn *c)
{
	struct grpc_client *client = c->client;

	if (!client->closed && client->o.up)
		client->o.up(client, client->o.arg);
}

static void
client_free(struct grpc_client *client)
{
	tls_free(client->o.tls);
	free(client->host);
	free(client->authority);
	free(client);
}

void
client_gone(struct grpc_conn *c)
{
	struct grpc_client *client = c->client;

	c->client = NULL;
	client->conn = NULL;
	if (client->closed)
		client_free(client);
	else if (client->o.down)
		client->o.down(client, &c->why, client->o.arg);
}

int
grpc_client_open(struct loop *loop, const struct grpc_client_options *o,
	struct grpc_client **ret, struct err *err)
{
	struct grpc_client *client;
	int fd;

	if (o->path ? dial_unix(o, &fd, err) : dial_host(o, &fd, err))
		return -1;
	client = xcalloc(1, sizeof(*client));
	client->o = *o;
	client->host = xstrdup(o->path ? "localhost" : o->host);
	client->o.host = client->host;
	client->o.path = o->path ? "" : NULL; /* of use no more */
	client->authority = o->path ? xstrdup("localhost") :
				      xasprintf("%s:%d", o->host, o->port);
	if (client->o.tls)
		SSL_CTX_up_ref(client->o.tls);
	client->conn = conn_new(loop, fd, client->io);
	client->conn->client = client;
	client->conn->peer.local = o->path;
	client->conn->state = CONN_DIALING;
	if (conn_start(client->conn, EPOLLOUT, err)) {
		client->closed = true;
		conn_kill(client->conn, "epoll");
		return -1;
	}
	*ret = client;
	return 0;
}

void
grpc_client_close(struct grpc_client *client)
{
	if (!client)
		return;
	client->closed = true;
	if (client->conn)
		conn_kill(client->conn, "closed");
	else
		client_free(client);
}

/* ---- calls ---- */

static void
submit(struct grpc_conn *c, struct grpc_call *call)
{
	struct grpc_client *client = c->client;
	const char *const headers[][2] = { { ":method", "POST" },
		{ ":scheme", c->ssl ? "https" : "http" },
		{ ":authority", client->authority },
		{ ":path", call->path },
		{ "content-type", "application/grpc" },
		{ "te", "trailers" },
		{ "user-agent", "forge/" FORGE_VERSION } };
	nghttp2_nv nv[ARRAY_SIZE(headers)];
	nghttp2_data_provider data = { .source.ptr = call,
		.read_callback = call_read };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(headers); i++)
		nv[i] = (nghttp2_nv){
			.name = (uint8_t *)(uintptr_t)headers[i][0],
			.value = (uint8_t *)(uintptr_t)headers[i][1],
			.namelen = strlen(headers[i][0]),
			.valuelen = strlen(headers[i][1]),
		};
	call->id = nghttp2_submit_request(c->h2, NULL, nv, ARRAY_SIZE(nv),
		&data, call);
	if (call->id < 0)
		call_end(call, GRPC_UNAVAILABLE, "no streams are left");
	else
		conn_dirty(c);
}

void
client_established(struct grpc_conn *c)
{
	struct grpc_call *call, *next;

	for (call = c->calls; call; call = next) {
		next = call->next;
		submit(c, call);
	}
}

struct grpc_call *
grpc_start(struct grpc_client *client, const char *path,
	const struct grpc_handler *handler, void *arg, int64_t timeout)
{
	struct grpc_conn *c = client->conn;
	struct grpc_call *call;

	if (!c)
		BUG("a call after down()");
	call = call_new(c, 0);
	call->path = xstrdup(path);
	call->reader.max = client->o.max ? client->o.max : MESSAGE_MAX;
	grpc_handle(call, handler, arg);
	if (timeout)
		grpc_deadline(call, loop_now(c->loop) + timeout);
	if (c->state == CONN_OPEN)
		submit(c, call);
	return call;
}

/* ---- one call and its answer ---- */

struct unary {
	struct loop *loop;
	struct grpc_client *client;
	struct buf *ret;
	bool answered, ended;
	int status;
	struct err *err;
};

static enum err_code
code_of(int status)
{
	switch (status) {
	case GRPC_UNAUTHENTICATED:
	case GRPC_PERMISSION_DENIED:
		return ERR_AUTH;
	case GRPC_INVALID_ARGUMENT:
		return ERR_INVALID;
	case GRPC_NOT_FOUND:
		return ERR_NOTFOUND;
	case GRPC_ALREADY_EXISTS:
		return ERR_EXISTS;
	case GRPC_DEADLINE_EXCEEDED:
		return ERR_TIMEOUT;
	case GRPC_RESOURCE_EXHAUSTED:
		return ERR_LIMIT;
	case GRPC_CANCELLED:
		return ERR_CANCELED;
	default:
		return ERR_NET;
	}
}

static void
unary_message(struct grpc_call *call, const void *p, size_t n)
{
	struct unary *u = grpc_arg(call);

	u->answered = true;
	buf_reset(u->ret);
	buf_add(u->ret, p, n);
}

static void
unary_ended(struct grpc_call *call, int status, const char *why)
{
	struct unary *u = grpc_arg(call);

	u->ended = true;
	if (status == GRPC_OK && !u->answered) {
		status = GRPC_INTERNAL;
		why = "the server sent no answer";
	}
	u->status = status;
	if (status)
		(void)err_set(u->err, code_of(status), "%s",
			*why ? why : grpc_status_name(status));
	loop_stop(u->loop);
}

int
grpc_unary(const struct grpc_client_options *o, const char *path,
	const void *p, size_t n, int64_t timeout, struct buf *ret,
	struct err *err)
{
	static const struct grpc_handler handler = {
		.message = unary_message, .ended = unary_ended };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	struct unary u = { .ret = ret, .err = err };
	struct grpc_client_options plain = *o;
	struct grpc_call *call;
	int rc;

	if (loop_open(&u.loop, err))
		return -1;
	plain.up = NULL;
	plain.down = NULL;
	(void)sigaction(SIGPIPE, &ignore, &before);
	rc = grpc_client_open(u.loop, &plain, &u.client, err);
	if (!rc) {
		call = grpc_start(u.client, path, &handler, &u, timeout);
		(void)grpc_send(call, p, n);
		grpc_half_close(call);
		rc = loop_run(u.loop, err);
		if (!u.ended)
			grpc_handle(call, NULL, NULL);
		grpc_client_close(u.client);
	}
	loop_close(u.loop);
	(void)sigaction(SIGPIPE, &before, NULL);
	return rc || u.status ? -1 : 0;
}
