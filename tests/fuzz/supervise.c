/*
 * A supervisor between a hostile guest and its clients: whatever either side
 * sends, in whatever order, the memory held for them stays bounded and no
 * command is mixed up with another.
 *
 * The input is a list of steps: what the guest or one of three clients sends
 * (any frame, with any length, many times over), or that a client goes away.
 * Nobody reads what is sent to them, the worst case for memory.
 */
#include "lib/vm/supervise_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"

enum { PEOPLE = 3, REPEATS = 64 };
/* One frame beyond it. */
#define CLIENT_MAX (CLIENT_BACKLOG + FRAME_MAX)
/* Clients are not heard while it is full: one turn of each beyond that. */
#define CHANNEL_MAX ((1u << 20) + 8 * (size_t)FRAME_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct supervisor s;
	struct vm_boot boot;
	int far[PEOPLE]; /* the clients' ends; -1 */
};

static int
connected(int *far)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		    fds))
		abort();
	*far = fds[1];
	return fds[0];
}

static void
check(const struct world *w)
{
	const struct supervisor *s = &w->s;
	int i, k;

	if (s->channel.out.len > CHANNEL_MAX)
		abort();
	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used &&
			s->clients[i].conn.out.len > CLIENT_MAX)
			abort();
	for (i = 0; i < LINKS; i++) {
		const struct link *l = &s->links[i];

		if (!l->guest)
			continue;
		if (l->client >= 0 && !s->clients[l->client].used)
			abort();
		if (l->window[0] > CHANNEL_WINDOW ||
			l->window[1] > CHANNEL_WINDOW)
			abort();
		for (k = 0; k < i; k++)
			if (s->links[k].guest == l->guest)
				abort();
	}
}

static void
from_client(struct world *w, int who, const struct frame *f, int times)
{
	unsigned char header[FRAME_HEADER];
	int i;

	frame_header(f, header);
	for (i = 0; i < times && w->far[who] >= 0; i++) {
		if (send(w->far[who], header, sizeof(header), MSG_NOSIGNAL) !=
				(ssize_t)sizeof(header) ||
			send(w->far[who], f->payload, f->length,
				MSG_NOSIGNAL) != (ssize_t)f->length)
			break; /* it does not listen just now */
	}
	for (i = 0; i < CLIENTS; i++)
		if (w->s.clients[i].used && !conn_full(&w->s.channel) &&
			!conn_full(&w->s.clients[i].conn))
			clients_read(&w->s, i);
}

static void
step(struct world *w, const uint8_t *p)
{
	static const unsigned char payload[FRAME_PAYLOAD_MAX] = { 1, 0, 4 };
	struct frame f = { .type = p[1] % 24, .flags = p[2] & 1,
		.stream = p[2] >> 1 & 15, .payload = payload + (p[2] >> 5),
		.length = (uint32_t)(p[3] << 7) };
	int times = p[4] % REPEATS + 1, who = p[0] % (PEOPLE + 2), i;

	if (p[3] < 16) {
		f.length = p[3];
		times = 1 << p[4] % 16;
	}
	if (who < PEOPLE) {
		/* no power-off here: it would be written to the database */
		if (f.type != CHANNEL_SHUTDOWN)
			from_client(w, who, &f, times);
	} else if (who == PEOPLE) {
		for (i = 0; i < times; i++)
			clients_deliver(&w->s, &f);
	} else if (w->far[p[1] % PEOPLE] >= 0) {
		(void)close(w->far[p[1] % PEOPLE]);
		w->far[p[1] % PEOPLE] = -1;
	}
	check(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));
	int guest, i;

	if (!w)
		abort();
	w->boot.spec.name = "fuzzed";
	w->s.boot = &w->boot;
	w->s.listener = w->s.console_fd = -1;
	w->s.console_stuck = -1;
	w->s.typed = BUF_INIT;
	w->s.ready = true;
	w->s.hypervisor = CHILD_INIT;
	conn_init(&w->s.channel, connected(&guest));
	w->s.clients = calloc(CLIENTS, sizeof(*w->s.clients));
	if (!w->s.clients)
		abort();
	for (i = 0; i < PEOPLE; i++)
		if (clients_add(&w->s, connected(&w->far[i])) != i)
			abort();
	for (; size >= 5 && !w->s.err.code; data += 5, size -= 5)
		step(w, data);
	for (i = 0; i < PEOPLE; i++)
		if (w->far[i] >= 0)
			(void)close(w->far[i]);
	clients_release(&w->s);
	conn_release(&w->s.channel);
	(void)close(guest);
	free(w);
	return 0;
}
