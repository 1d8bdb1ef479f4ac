#include "lib/vm/forward.h"
#include "lib/vm/forward_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/vm/conn.h"
#include "lib/vm/supervise.h"
#include "lib/base/banned.h"

#define SPARE_FDS 32 /* ours beside tunnels and listeners */

static void
send_frame(struct forward *f, const struct tunnel *t, enum channel_type type,
	const void *p, size_t n)
{
	struct frame to = { .type = (uint8_t)type,
		.stream = (uint16_t)(t - f->tunnels + 1),
		.length = (uint32_t)n, .payload = p };

	conn_send(&f->conn, &to);
}

/* ---- from here to the guest ---- */

struct tunnel *
tunnel_new(struct forward *f, int fd, enum channel_type type, uint16_t port)
{
	struct tunnel *t = f->tunnels;
	unsigned char p[2];

	while (t->used)
		t++; /* there is one: f->used < f->max */
	*t = (struct tunnel){ .used = true, .fd = fd,
		.window = CHANNEL_WINDOW, .out = BUF_INIT };
	f->used++;
	frame_put16(p, port);
	send_frame(f, t, type, p, sizeof(p));
	return t;
}

static void
accept_one(struct forward *f, const struct listener *l)
{
	const int on = 1;
	int fd;

	if (f->used >= f->max)
		return;
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)tunnel_new(f, fd, CHANNEL_CONNECT, l->port);
}

/* The local side is gone: the guest's sees a reset. */
void
tunnel_abort(struct forward *f, struct tunnel *t)
{
	unsigned char p[4];

	cleanup_close(&t->fd);
	t->fd = -1;
	buf_release(&t->out);
	t->at = 0;
	frame_put32(p, SIGKILL);
	if (!t->over)
		send_frame(f, t, CHANNEL_SIGNAL, p, sizeof(p));
}

static void
tunnel_read(struct forward *f, struct tunnel *t)
{
	static char chunk[FRAME_PAYLOAD_MAX];
	size_t want = t->window < sizeof(chunk) ? t->window : sizeof(chunk);
	ssize_t n = recv(t->fd, chunk, want, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		tunnel_abort(f, t);
	} else if (n == 0) {
		t->sent_eof = true;
		send_frame(f, t, CHANNEL_STDIN_EOF, NULL, 0);
	} else {
		t->window -= (uint32_t)n;
		send_frame(f, t, CHANNEL_STDIN, chunk, (size_t)n);
	}
}

/* ---- from the guest to here ---- */

static void
give_credit(struct forward *f, struct tunnel *t, uint32_t n)
{
	unsigned char p[5] = { 1 };

	t->written += n;
	if (t->written < CHANNEL_WINDOW / 4 || t->over)
		return;
	frame_put32(p + 1, t->written);
	t->written = 0;
	send_frame(f, t, CHANNEL_CREDIT, p, sizeof(p));
}

static size_t
tunnel_left(const struct tunnel *t)
{
	return t->out.len - t->at;
}

/* Everything is written: pass on what the guest's side did then. */
void
tunnel_settle(struct forward *f, struct tunnel *t)
{
	const struct linger now = { .l_onoff = 1 };

	if (tunnel_left(t) || (t->connecting && !t->over))
		return;
	if (t->eof && !t->shut && !t->reset && t->fd >= 0) {
		t->shut = true;
		(void)shutdown(t->fd, SHUT_WR); /* it may be gone: seen later */
	}
	if (!t->over)
		return;
	reverse_lost(t);
	if (t->reset && t->fd >= 0)
		(void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now,
			sizeof(now));
	cleanup_close(&t->fd);
	buf_release(&t->out);
	t->used = false;
	f->used--;
}

static void
tunnel_write(struct forward *f, struct tunnel *t)
{
	ssize_t n = send(t->fd, t->out.s + t->at, tunnel_left(t),
		MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		tunnel_abort(f, t);
		tunnel_settle(f, t);
		return;
	}
	t->at += (size_t)n;
	if (!tunnel_left(t)) {
		buf_reset(&t->out);
		t->at = 0;
	}
	give_credit(f, t, (uint32_t)n);
	tunnel_settle(f, t);
}

static void
on_output(struct forward *f, struct tunnel *t, const struct frame *from)
{
	if (t->fd < 0) {
		give_credit(f, t, from->length); /* nobody wants it */
		return;
	}
	if (t->eof || tunnel_left(t) + from->length > CHANNEL_WINDOW) {
		tunnel_abort(f, t); /* it breaks the rules */
		return;
	}
	if (t->at) {
		buf_consume(&t->out, t->at);
		t->at = 0;
	}
	buf_add(&t->out, from->payload, from->length);
	if (from->length && !t->connecting)
		tunnel_write(f, t);
}

static void
on_exit_frame(struct forward *f, struct tunnel *t, const struct frame *from)
{
	bool good = from->length == 5;
	uint32_t value = good ? frame_get32(from->payload + 1) : 0;
	const char *why = strerrordesc_np((int)value);

	t->over = t->eof = t->sent_eof = true;
	t->reset = !good || value || from->payload[0] != CHANNEL_EXITED;
	if (t->reset)
		log_info("forward.reset", "why", why ? why : "unknown error",
			NULL);
	tunnel_settle(f, t);
}

static void
dispatch(struct forward *f, const struct frame *from)
{
	struct tunnel *t = &f->tunnels[from->stream - 1];

	if (!t->used || t->over)
		return;
	switch (from->type) {
	case CHANNEL_STARTED:
		reverse_connect(f, t);
		break;
	case CHANNEL_STDOUT:
		on_output(f, t, from);
		break;
	case CHANNEL_STDOUT_EOF:
		t->eof = true;
		tunnel_settle(f, t);
		break;
	case CHANNEL_STDIN_CLOSED:
		t->sent_eof = true;
		break;
	case CHANNEL_CREDIT:
		if (from->length == 5 && from->payload[0] == 0)
			t->window += frame_get32(from->payload + 1);
		break;
	case CHANNEL_EXIT:
		on_exit_frame(f, t, from);
		break;
	default:
		break;
	}
}

static int
read_conn(struct forward *f)
{
	struct frame from;
	int end = conn_fill(&f->conn);

	while (frame_next(&f->conn.reader, &from))
		if (from.stream >= 1 && from.stream <= TUNNELS)
			dispatch(f, &from);
		else
			reverse_answer(f, &from);
	return end;
}

/* ---- the loop ---- */

static void
watch_tunnel(const struct forward *f, const struct tunnel *t,
	struct pollfd *p)
{
	bool hear = !t->sent_eof && t->window && !conn_full(&f->conn);

	*p = (struct pollfd){ .fd = -1 };
	if (!t->used || t->fd < 0)
		return;
	if (t->connecting) {
		*p = (struct pollfd){ .fd = t->fd, .events = POLLOUT };
		return;
	}
	p->events = (short)((hear ? POLLIN : 0) |
		(tunnel_left(t) ? POLLOUT : 0));
	/* With nothing to do here it is still told of a reset, except when
	 * that could be the mere end of what we do not want to read now. */
	if (p->events || (t->sent_eof && !t->shut))
		p->fd = t->fd;
}

static size_t
collect(struct forward *f)
{
	struct pollfd *p = f->fds;
	size_t i;

	*p++ = (struct pollfd){ .fd = f->signals, .events = POLLIN };
	*p++ = (struct pollfd){ .fd = f->conn.fd,
		.events = conn_events(&f->conn) };
	for (i = 0; i < f->nlisteners; i++)
		*p++ = (struct pollfd){
			.fd = f->used < f->max ? f->listeners[i].fd : -1,
			.events = POLLIN };
	for (i = 0; i < f->max; i++)
		watch_tunnel(f, &f->tunnels[i], p++);
	return (size_t)(p - f->fds);
}

static void
step_tunnel(struct forward *f, struct tunnel *t, const struct pollfd *p)
{
	if (t->connecting) {
		reverse_connected(f, t);
		return;
	}
	if (p->revents & POLLOUT)
		tunnel_write(f, t);
	if (!t->used || t->fd != p->fd)
		return;
	if (p->events & POLLIN && p->revents & (POLLIN | POLLHUP | POLLERR))
		tunnel_read(f, t);
	else if (p->revents & (POLLHUP | POLLERR) && !(p->revents & POLLOUT))
		tunnel_abort(f, t);
}

static int
step(struct forward *f, const char **ret_end, struct err *err)
{
	const struct pollfd *tunnels = f->fds + 2 + f->nlisteners;
	int timeout;
	size_t i;

	timeout = reverse_accept(f);
	(void)conn_flush(&f->conn); /* its end is seen when reading */
	if (poll(f->fds, collect(f), timeout) < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (f->fds[0].revents && signals_next(f->signals))
		*ret_end = "signal";
	for (i = 0; i < f->max; i++)
		if (tunnels[i].fd >= 0 && tunnels[i].revents)
			step_tunnel(f, &f->tunnels[i], &tunnels[i]);
	for (i = 0; i < f->nlisteners; i++)
		if (f->fds[2 + i].revents)
			accept_one(f, &f->listeners[i]);
	if (f->fds[1].revents & (POLLIN | POLLHUP | POLLERR) && read_conn(f))
		return err_set(err, ERR_SYS, "the VM ended");
	return 0;
}

int
forward_loop(struct forward *f, struct err *err)
{
	const char *end = NULL;

	while (!end)
		if (step(f, &end, err))
			return -1;
	return 0;
}

/* ---- beginning and end ---- */

/* Until the guest listens everywhere, or says why it cannot. */
static int
wait_reverse(struct forward *f, struct err *err)
{
	const char *end = NULL;
	int rc = reverse_up(f, err);

	while (rc > 0) {
		if (step(f, &end, err))
			return -1;
		rc = end ? err_set(err, ERR_CANCELED,
				   "ended by a signal") :
			   reverse_up(f, err);
	}
	return rc;
}

/* As many tunnels as there may be fds. */
static void
size_up(struct forward *f)
{
	struct rlimit r = { .rlim_cur = 1024 };
	size_t most;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < 1024 &&
		r.rlim_max > r.rlim_cur) {
		r.rlim_cur = r.rlim_max < 1024 ? r.rlim_max : 1024;
		(void)setrlimit(RLIMIT_NOFILE, &r); /* else it is what it is */
	}
	most = r.rlim_cur > SPARE_FDS + f->nlisteners ?
		(size_t)r.rlim_cur - SPARE_FDS - f->nlisteners :
		1;
	f->max = most < TUNNELS ? most : TUNNELS;
}

static int
add(struct forward *f, const struct forward_spec *s, struct err *err)
{
	struct listener *l = &f->listeners[f->nlisteners];

	if (s->reverse) {
		reverse_listen(f, s);
		return 0;
	}
	if (forward_listen(s, l, err)) {
		cleanup_close(&l->fd);
		return -1;
	}
	f->nlisteners++;
	return 0;
}

static void
name_all(struct forward *f, const char *vm, const struct forward_spec *specs,
	size_t n)
{
	size_t i, listeners = 0, reverses = 0;

	for (i = 0; i < n; i++)
		f->names[i] = specs[i].reverse ?
			xasprintf("%s:%u", vm, f->reverses[reverses++].port) :
			xstrdup(f->listeners[listeners++].name);
}

int
forward_open(struct state *st, const char *vm,
	const struct forward_spec *specs, size_t n, struct forward **ret,
	struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	struct forward *f;
	int sock;
	size_t i;

	if (n > FORWARD_SPECS)
		return err_set(err, ERR_USAGE, "more than %d ports",
			FORWARD_SPECS);
	if (supervisor_connect(st, vm, &sock, err))
		return -1;
	f = xcalloc(1, sizeof(*f));
	conn_init(&f->conn, sock);
	f->signals = -1;
	if (signals_open(signals, &f->signals, err))
		goto failed;
	for (i = 0; i < n; i++)
		if (add(f, &specs[i], err))
			goto failed;
	size_up(f);
	if (wait_reverse(f, err))
		goto failed;
	name_all(f, vm, specs, n);
	*ret = f;
	return 0;
failed:
	forward_close(f);
	return -1;
}

const char *
forward_name(const struct forward *f, size_t i)
{
	return f->names[i];
}

void
forward_close(struct forward *f)
{
	size_t i;

	if (!f)
		return;
	for (i = 0; i < f->nlisteners; i++)
		forward_unlisten(&f->listeners[i]);
	for (i = 0; i < FORWARD_SPECS; i++)
		free(f->names[i]);
	for (i = 0; i < TUNNELS; i++)
		if (f->tunnels[i].used) {
			cleanup_close(&f->tunnels[i].fd);
			buf_release(&f->tunnels[i].out);
		}
	cleanup_close(&f->signals);
	conn_release(&f->conn);
	free(f);
}
