#include "lib/vm/forward_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define REFUSED_MS 200
#define ACCEPTING 4 /* so that the next connection need not wait for us */

/* ---- listening ---- */

static uint16_t
stream_of(const struct forward *f, const struct reverse *r)
{
	return (uint16_t)(TUNNELS + 1 + (r - f->reverses));
}

void
reverse_listen(struct forward *f, const struct forward_spec *s)
{
	struct reverse *r = &f->reverses[f->nreverses++];
	unsigned char p[2];
	struct frame to = { .type = CHANNEL_LISTEN, .length = sizeof(p),
		.payload = p };

	*r = (struct reverse){ .to = s, .port = s->port, .again = 0 };
	to.stream = stream_of(f, r);
	frame_put16(p, s->port);
	conn_send(&f->conn, &to);
}

int
reverse_up(const struct forward *f, struct err *err)
{
	size_t i, up = 0;

	for (i = 0; i < f->nreverses; i++) {
		const struct reverse *r = &f->reverses[i];
		const char *why = strerrordesc_np((int)r->error);

		if (r->error)
			return err_set(err,
				r->error == EADDRINUSE ? ERR_EXISTS : ERR_SYS,
				"cannot listen on port %u in the VM: %s",
				r->port, why ? why : "unknown error");
		up += r->up;
	}
	return up < f->nreverses;
}

void
reverse_answer(struct forward *f, const struct frame *from)
{
	size_t i = (size_t)from->stream - 1 - TUNNELS;
	struct reverse *r = &f->reverses[i];

	if (i >= f->nreverses)
		return;
	if (from->type == CHANNEL_STARTED && from->length == 4 && !r->up) {
		if (!r->port)
			r->port = (uint16_t)frame_get32(from->payload);
		r->up = true;
	} else if (from->type == CHANNEL_EXIT) {
		r->error = from->length == 5 ?
			frame_get32(from->payload + 1) :
			0;
		r->error = r->error ? r->error : EPROTO;
		r->up = false;
	}
}

/* ---- connections ---- */

static void
accept_more(struct forward *f, struct reverse *r)
{
	while (r->up && r->accepting < ACCEPTING && f->used < f->max) {
		struct tunnel *t = tunnel_new(f, -1, CHANNEL_ACCEPT, r->port);

		t->reverse = r;
		t->accepting = true;
		r->accepting++;
	}
}

int
reverse_accept(struct forward *f)
{
	int timeout = -1;
	size_t i;

	for (i = 0; i < f->nreverses; i++) {
		int left = clock_left(f->reverses[i].again);

		if (left > 0)
			timeout = left;
		else
			accept_more(f, &f->reverses[i]);
	}
	return timeout;
}

/* Its slots may all be taken, by others too. */
void
reverse_lost(struct tunnel *t)
{
	if (!t->accepting)
		return;
	t->accepting = false;
	t->reverse->accepting--;
	t->reverse->again = clock_mono() + REFUSED_MS;
}

void
reverse_connect(struct forward *f, struct tunnel *t)
{
	const struct forward_spec *to;
	const int on = 1;

	if (!t->accepting)
		return;
	t->accepting = false;
	t->reverse->accepting--;
	to = t->reverse->to;
	t->fd = socket(to->address.ss_family,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0) {
		tunnel_abort(f, t);
		return;
	}
	/* fails on a UNIX socket, which does not need it */
	(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	t->connecting = true;
	if (connect(t->fd, (const struct sockaddr *)&to->address,
		    to->length) && errno != EINPROGRESS) {
		log_info("forward.connect", "error", strerrordesc_np(errno),
			NULL);
		t->connecting = false;
		tunnel_abort(f, t);
	}
}

void
reverse_connected(struct forward *f, struct tunnel *t)
{
	socklen_t n = sizeof(int);
	int e = 0;

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &n))
		e = errno;
	t->connecting = false;
	if (e) {
		log_info("forward.connect", "error", strerrordesc_np(e), NULL);
		tunnel_abort(f, t);
	}
	tunnel_settle(f, t);
}
