#include "lib/vm/supervise_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define SOCKET "ctl.sock"
#define SMALL_MAX 64 /* STARTED, CREDIT, EXIT are shorter */

/* ---- the control socket ---- */

/* Through the directory's fd: a path of any length fits into sun_path. */
static void
socket_address(int dir, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(un->sun_path, sizeof(un->sun_path),
		"/proc/self/fd/%d/" SOCKET, dir);
}

int
clients_listen(struct supervisor *s, struct err *err)
{
	struct sockaddr_un un;

	socket_address(s->dir, &un);
	s->listener = socket(AF_UNIX,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return err_sys(err, "cannot make a socket");
	(void)unlinkat(s->dir, SOCKET, 0); /* of an earlier life, or none */
	if (bind(s->listener, (struct sockaddr *)&un, sizeof(un)) ||
		listen(s->listener, 64))
		return err_sys(err, "cannot listen on 'vm/%s/" SOCKET "'",
			s->boot->spec.name);
	return 0;
}

int
supervisor_connect(struct state *st, const char *name, int *ret_fd,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("vm/%s", name);
	CLEANUP_CLOSE int dir = openat(state_dir(st), path,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un;

	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	socket_address(dir, &un);
	if (dir < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, ERR_NOTFOUND,
				"VM '%s' does not run; 'forge-vm list' shows "
				"those there are", name);
		return err_sys(err, "cannot reach VM '%s'", name);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* ---- clients ---- */

int
clients_add(struct supervisor *s, int fd)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (!s->clients[i].used) {
			/* not the whole: 64 KiB of it is the reader's */
			s->clients[i].waiting = s->clients[i].types = false;
			s->clients[i].console = 0;
			s->clients[i].window = 0;
			s->clients[i].used = true;
			conn_init(&s->clients[i].conn, fd);
			return i;
		}
	(void)close(fd); /* full: it sees the end of the connection */
	return -1;
}

void
clients_accept(struct supervisor *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		(void)clients_add(s, fd);
}

static struct link *
link_of_client(struct supervisor *s, int client, uint16_t theirs)
{
	int i;

	for (i = 0; i < LINKS; i++)
		if (s->links[i].guest && s->links[i].client == client &&
			s->links[i].theirs == theirs)
			return &s->links[i];
	return NULL;
}

static struct link *
link_of_guest(struct supervisor *s, uint16_t guest)
{
	int i;

	for (i = 0; guest && i < LINKS; i++)
		if (s->links[i].guest == guest)
			return &s->links[i];
	return NULL;
}

/* A command whose client is gone ends as on a lost terminal, but surely. */
static void
abandon(struct supervisor *s, struct link *l)
{
	unsigned char p[4];
	struct frame f = { .type = CHANNEL_SIGNAL, .stream = l->guest,
		.length = sizeof(p), .payload = p };

	l->client = -1;
	frame_put32(p, 9); /* SIGKILL on any Linux */
	conn_send(&s->channel, &f);
}

static void
drop_client(struct supervisor *s, int i)
{
	int k;

	for (k = 0; k < LINKS; k++)
		if (s->links[k].guest && s->links[k].client == i)
			abandon(s, &s->links[k]);
	conn_release(&s->clients[i].conn);
	s->clients[i].used = false;
	warm_client_gone(s, i);
}

static struct link *
new_link(struct supervisor *s, int client, uint16_t theirs)
{
	int i;

	for (i = 0; i < LINKS; i++)
		if (!s->links[i].guest)
			break;
	if (i == LINKS)
		return NULL;
	do
		s->next_stream++;
	while (!s->next_stream || link_of_guest(s, s->next_stream));
	s->links[i] = (struct link){ .guest = s->next_stream, .client = client,
		.theirs = theirs,
		.window = { CHANNEL_WINDOW, CHANNEL_WINDOW } };
	return &s->links[i];
}

static void
refuse(struct supervisor *s, int client, uint16_t theirs)
{
	unsigned char p[5] = { CHANNEL_EXEC_FAILED };
	struct frame f = { .type = CHANNEL_EXIT, .stream = theirs,
		.length = sizeof(p), .payload = p };

	frame_put32(p + 1, EAGAIN);
	conn_send(&s->clients[client].conn, &f);
}

static void
forward(struct supervisor *s, const struct link *l, const struct frame *f)
{
	struct frame to = *f;

	to.stream = l->guest;
	conn_send(&s->channel, &to);
}

static void
on_credit(struct link *l, const struct frame *f)
{
	uint32_t n;

	if (f->length != 5 || f->payload[0] < 1 || f->payload[0] > 2)
		return;
	n = frame_get32(f->payload + 1);
	if (n <= CHANNEL_WINDOW - l->window[f->payload[0] - 1])
		l->window[f->payload[0] - 1] += n;
}

/* A stream. */
static bool
begins(const struct frame *f)
{
	return f->type == CHANNEL_EXEC || f->type == CHANNEL_CONNECT ||
		f->type == CHANNEL_LISTEN || f->type == CHANNEL_ACCEPT;
}

static void
from_client(struct supervisor *s, int i, const struct frame *f)
{
	struct link *l;

	if (console_from_client(s, i, f) || pause_from_client(s, i, f))
		return;
	l = link_of_client(s, i, f->stream);
	if (f->type == CHANNEL_SHUTDOWN && !f->stream) {
		supervisor_stop(s, f->length == 4 ? frame_get32(f->payload) :
						    10000);
		return;
	}
	if (f->type == CHANNEL_PING && !f->stream) {
		life_look(s);
		return;
	}
	if (f->stream && begins(f)) {
		if (!l)
			l = new_link(s, i, f->stream);
		if (!l)
			refuse(s, i, f->stream);
	}
	if (!l)
		return;
	if (f->type == CHANNEL_CREDIT)
		on_credit(l, f);
	switch (f->type) {
	case CHANNEL_EXEC:
	case CHANNEL_CONNECT:
	case CHANNEL_LISTEN:
	case CHANNEL_ACCEPT:
	case CHANNEL_STDIN:
	case CHANNEL_STDIN_EOF:
	case CHANNEL_CREDIT:
	case CHANNEL_WINSIZE:
	case CHANNEL_SIGNAL:
		forward(s, l, f);
		break;
	default:
		break;
	}
}

/* Before the guest is ready only the console is there; one that waits can be
 * taken, and ended. */
static bool
must_wait(const struct supervisor *s, int i, const struct frame *f)
{
	const struct client *c = &s->clients[i];

	if (s->warm == WARM_WAITS && !f->stream)
		return false;
	return !s->ready && f->type != CHANNEL_CONSOLE &&
		(!c->console || f->stream != c->console);
}

static void
take_frames(struct supervisor *s, int i)
{
	struct client *c = &s->clients[i];
	struct frame_reader *r = &c->conn.reader;
	struct frame f;
	size_t start;

	c->waiting = false;
	for (;;) {
		start = r->start;
		if (!frame_next(r, &f))
			return;
		if (must_wait(s, i, &f)) {
			r->start = start;
			c->waiting = true;
			return;
		}
		from_client(s, i, &f);
	}
}

void
clients_read(struct supervisor *s, int i)
{
	int end = conn_fill(&s->clients[i].conn);

	take_frames(s, i);
	if (end)
		drop_client(s, i);
}

void
clients_ready(struct supervisor *s)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && s->clients[i].waiting)
			take_frames(s, i);
}

void
clients_flush(struct supervisor *s)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && conn_flush(&s->clients[i].conn))
			drop_client(s, i);
}

void
clients_release(struct supervisor *s)
{
	int i;

	for (i = 0; s->clients && i < CLIENTS; i++)
		if (s->clients[i].used)
			conn_release(&s->clients[i].conn);
	free(s->clients);
	buf_release(&s->typed);
	cleanup_close(&s->listener);
}

/* ---- from the guest ---- */

/* Nobody wants it, but the command must be able to come to its end. */
static void
discard(struct supervisor *s, const struct link *l, const struct frame *f)
{
	unsigned char p[5] = { f->type == CHANNEL_STDERR ? 2 : 1 };
	struct frame credit = { .type = CHANNEL_CREDIT, .stream = l->guest,
		.length = sizeof(p), .payload = p };

	if (conn_full(&s->channel)) {
		/* it sends, and does not read what we answer */
		supervisor_fail(s, ERR_INVALID,
			"the guest sent more than it was allowed to");
		return;
	}
	frame_put32(p + 1, f->length);
	conn_send(&s->channel, &credit);
}

/* All but output is small; a client that does not read it is let go, or a
 * guest could fill our memory with it. */
static void
to_client(struct supervisor *s, const struct link *l, const struct frame *f)
{
	struct frame to = *f;
	bool output = f->type == CHANNEL_STDOUT || f->type == CHANNEL_STDERR;

	if (!output && f->length > SMALL_MAX)
		return;
	if (s->clients[l->client].conn.out.len > CLIENT_BACKLOG ||
		(!output && conn_full(&s->clients[l->client].conn))) {
		drop_client(s, l->client);
		return;
	}
	to.stream = l->theirs;
	conn_send(&s->clients[l->client].conn, &to);
}

/* A guest that sends more than it may would fill our memory. */
static bool
within_window(struct supervisor *s, struct link *l, const struct frame *f)
{
	int which = f->type == CHANNEL_STDERR;

	if (l->client < 0)
		return true;
	if (f->length > l->window[which]) {
		supervisor_fail(s, ERR_INVALID,
			"the guest sent more than it was allowed to");
		return false;
	}
	l->window[which] -= f->length;
	return true;
}

void
clients_deliver(struct supervisor *s, const struct frame *f)
{
	struct link *l = link_of_guest(s, f->stream);
	bool output = f->type == CHANNEL_STDOUT || f->type == CHANNEL_STDERR;

	if (!l || (output && !within_window(s, l, f)))
		return;
	if (f->type == CHANNEL_EXIT && f->length != 5)
		return; /* it is none */
	if (l->client >= 0)
		to_client(s, l, f);
	else if (output)
		discard(s, l, f);
	if (f->type == CHANNEL_EXIT)
		l->guest = 0;
}
