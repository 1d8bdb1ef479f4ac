/*
 * The serial console of a running guest: into its log, and to those who are
 * attached to it.  They miss nothing, so the guest's console waits for one
 * that is slow; who does not read for STUCK is let go.
 */
#include "lib/vm/supervise_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define CHUNK 16384u /* read at once; who has less of a window is waited for */
#define STUCK 5000 /* ms */

static void
send_to(struct supervisor *s, int i, enum channel_type type, const void *p,
	size_t n)
{
	struct frame f = { .type = (uint8_t)type,
		.stream = s->clients[i].console, .length = (uint32_t)n,
		.payload = p };

	conn_send(&s->clients[i].conn, &f);
}

static void
send_exit(struct supervisor *s, int i, enum channel_exit kind, uint32_t value)
{
	unsigned char p[5] = { (unsigned char)kind };

	frame_put32(p + 1, value);
	send_to(s, i, CHANNEL_EXIT, p, sizeof(p));
	s->clients[i].console = 0;
	s->clients[i].types = false;
}

static bool
somebody_types(const struct supervisor *s)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && s->clients[i].types)
			return true;
	return false;
}

static void
attach(struct supervisor *s, int i, const struct frame *f)
{
	struct client *c = &s->clients[i];
	unsigned char pid[4] = { 0 };
	bool types = f->length && f->payload[0];

	if (!f->stream || c->console)
		return;
	c->console = f->stream;
	c->window = CHANNEL_WINDOW;
	if (types && somebody_types(s)) {
		send_exit(s, i, CHANNEL_EXEC_FAILED, EBUSY);
		return;
	}
	c->types = types;
	send_to(s, i, CHANNEL_STARTED, pid, sizeof(pid));
}

static void
give_credit(struct supervisor *s, uint32_t n)
{
	unsigned char p[5] = { 0 };
	int i;

	frame_put32(p + 1, n);
	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && s->clients[i].types)
			send_to(s, i, CHANNEL_CREDIT, p, sizeof(p));
}

void
console_type(struct supervisor *s)
{
	ssize_t n;

	if (!s->typed.len)
		return;
	n = s->console_fd < 0 ?
		(ssize_t)s->typed.len : /* nobody is there: forgotten */
		send(s->console_fd, s->typed.s, s->typed.len,
			MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		n = (ssize_t)s->typed.len;
	if (n <= 0)
		return;
	buf_consume(&s->typed, (size_t)n);
	give_credit(s, (uint32_t)n);
}

bool
console_from_client(struct supervisor *s, int i, const struct frame *f)
{
	struct client *c = &s->clients[i];

	if (f->type == CHANNEL_CONSOLE) {
		attach(s, i, f);
		return true;
	}
	if (!c->console || f->stream != c->console)
		return false;
	if (f->type == CHANNEL_STDIN && c->types &&
		s->typed.len + f->length <= CHANNEL_WINDOW) {
		buf_add(&s->typed, f->payload, f->length);
		console_type(s);
	} else if (f->type == CHANNEL_CREDIT && f->length == 5 &&
		f->payload[0] == 1 &&
		frame_get32(f->payload + 1) <= CHANNEL_WINDOW - c->window) {
		c->window += frame_get32(f->payload + 1);
	}
	return true;
}

static bool
is_slow(const struct client *c)
{
	return c->used && c->console && c->window < CHUNK;
}

short
console_events(struct supervisor *s)
{
	bool slow = false;
	int i;

	for (i = 0; i < CLIENTS; i++)
		slow |= is_slow(&s->clients[i]);
	if (!slow)
		s->console_stuck = -1;
	else if (s->console_stuck < 0)
		s->console_stuck = clock_mono() + STUCK;
	return (short)((slow ? 0 : POLLIN) | (s->typed.len ? POLLOUT : 0));
}

void
console_unstick(struct supervisor *s)
{
	int i;

	if (s->console_stuck < 0 || clock_left(s->console_stuck))
		return;
	s->console_stuck = -1;
	for (i = 0; i < CLIENTS; i++)
		if (is_slow(&s->clients[i]))
			send_exit(s, i, CHANNEL_EXEC_FAILED, ETIMEDOUT);
}

void
console_read(struct supervisor *s)
{
	char chunk[CHUNK];
	ssize_t n = read(s->console_fd, chunk, sizeof(chunk));
	int i;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		cleanup_close(&s->console_fd);
		s->console_fd = -1;
		return;
	}
	console_add(&s->console, chunk, (size_t)n);
	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && s->clients[i].console) {
			/* less only when it was attached just now */
			s->clients[i].window -= (uint32_t)n;
			send_to(s, i, CHANNEL_STDOUT, chunk, (size_t)n);
		}
}

/* Until it is gone, or for a second. */
static void
flush_last(struct conn *c, int64_t deadline)
{
	while (!conn_flush(c) && c->out.len && clock_left(deadline)) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };

		if (poll(&p, 1, clock_left(deadline)) < 0)
			return;
	}
}

/* The guest's last words may be what somebody waits for. */
void
console_end(struct supervisor *s)
{
	int64_t deadline = clock_mono() + 1000;
	int i;

	while (s->console_fd >= 0) {
		struct pollfd p = { .fd = s->console_fd, .events = POLLIN };

		if (!(console_events(s) & POLLIN) || poll(&p, 1, 0) <= 0)
			break;
		console_read(s);
	}
	for (i = 0; i < CLIENTS && s->clients; i++)
		if (s->clients[i].used && s->clients[i].console) {
			send_exit(s, i, CHANNEL_EXITED, 0);
			flush_last(&s->clients[i].conn, deadline);
		}
}
