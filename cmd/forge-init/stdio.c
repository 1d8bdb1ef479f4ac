#include "cmd/forge-init/init.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a terminal can hold back after the last byte was written to it. */
#define TTY_REST (128u * 1024)
/* How long it may take to come through, when somebody else keeps it open. */
#define TTY_SETTLE 100 /* ms */

/* ---- stdin ---- */

static void
send_credit(struct agent *a, struct exec *x)
{
	unsigned char p[5] = { 0 };

	if (!x->taken)
		return;
	frame_put32(p + 1, x->taken);
	x->taken = 0;
	(void)agent_send(a, CHANNEL_CREDIT, x->stream, p, sizeof(p));
}

static void
took(struct exec *x, size_t n)
{
	size_t ours = n < x->ours ? n : x->ours;

	x->ours -= ours;
	x->taken += (uint32_t)(n - ours);
}

static void
close_stdin(struct exec *x)
{
	if (x->in >= 0 && x->socket)
		(void)shutdown(x->in, SHUT_WR);
	else if (x->in >= 0)
		(void)close(x->in);
	x->in = -1;
	x->start = x->end = 0;
}

void
stdin_gone(struct agent *a, struct exec *x)
{
	took(x, x->end - x->start);
	close_stdin(x);
	send_credit(a, x);
	(void)agent_send(a, CHANNEL_STDIN_CLOSED, x->stream, NULL, 0);
}

void
stdin_feed(struct agent *a, struct exec *x)
{
	ssize_t n;

	if (x->connecting)
		return;
	if (x->start < x->end) {
		n = write(x->in, x->pending + x->start, x->end - x->start);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			if (x->socket) /* what was read is lost */
				x->exit_value = ECONNRESET;
			stdin_gone(a, x);
			return;
		}
		x->start += (size_t)n;
		took(x, (size_t)n);
		if (x->start == x->end)
			x->start = x->end = 0;
		/* Not in crumbs, but all when the command waits for more. */
		if (!x->end || x->taken >= CHANNEL_WINDOW / 4)
			send_credit(a, x);
	}
	if (x->in_eof && !x->end)
		close_stdin(x);
}

/* Room for n more bytes at the end? */
static bool
make_room(struct exec *x, size_t n)
{
	if (x->end + n > x->room && x->start) {
		memmove(x->pending, x->pending + x->start, x->end - x->start);
		x->end -= x->start;
		x->start = 0;
	}
	return x->end + n <= x->room;
}

void
stdin_data(struct agent *a, struct exec *x, const void *p, size_t n)
{
	if (x->in_eof || !n)
		return;
	if (x->in < 0) { /* nobody reads: the host may forget it */
		x->taken += (uint32_t)n;
		send_credit(a, x);
		return;
	}
	if (!make_room(x, n))
		return; /* beyond the window: the host breaks its promise */
	memcpy(x->pending + x->end, p, n);
	x->end += n;
	stdin_feed(a, x);
}

void
stdin_eof(struct agent *a, struct exec *x)
{
	if (x->in_eof)
		return;
	if (x->in >= 0 && x->tty) {
		/* To close the master would be a hang-up for the command;
		 * the byte is ours, not the host's, so no credit for it. */
		if (make_room(x, 1)) {
			x->pending[x->end++] = 4; /* control-D */
			x->taken--;
		}
	} else {
		x->in_eof = true;
	}
	if (x->in >= 0)
		stdin_feed(a, x);
}

/* ---- stdout, stderr ---- */

static void
out_end(struct stream_out *o)
{
	if (o->fd >= 0)
		(void)close(o->fd);
	o->fd = -1;
	o->drained = true;
}

static bool
settled(const struct exec *x)
{
	return !x->tty || now_ms() - x->exit_ms >= TTY_SETTLE;
}

void
out_send(struct agent *a, struct exec *x, int which)
{
	static unsigned char chunk[FRAME_PAYLOAD_MAX];
	struct stream_out *o = &x->out[which];
	size_t want = o->window < sizeof(chunk) ? o->window : sizeof(chunk);
	ssize_t n;

	if (x->exited && o->left < want)
		want = o->left;
	if (o->fd < 0 || o->drained || !want)
		return;
	n = read(o->fd, chunk, want);
	if (n > 0) {
		o->window -= (uint32_t)n;
		o->left -= x->exited ? (uint32_t)n : 0;
		o->drained = x->exited && !o->left;
		(void)agent_send(a, which ? CHANNEL_STDERR : CHANNEL_STDOUT,
			x->stream, chunk, (size_t)n);
	} else if (x->socket && (n == 0 || errno != EAGAIN)) {
		if (n)
			x->exit_value = (uint32_t)errno;
		o->drained = true;
		(void)agent_send(a, CHANNEL_STDOUT_EOF, x->stream, NULL, 0);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		out_end(o); /* EIO is a terminal's way to say the end */
	} else if (x->exited && errno == EAGAIN && settled(x)) {
		o->drained = true;
	}
}

/*
 * The command has ended.  What it wrote is in the pipes now; what comes later
 * is a grandchild's, which may keep them open, and may write, for ever.
 */
void
out_last(struct exec *x)
{
	int i, n;

	for (i = 0; i < 2; i++) {
		struct stream_out *o = &x->out[i];

		if (o->fd < 0)
			continue;
		if (x->tty)
			o->left = TTY_REST;
		else if (!ioctl(o->fd, FIONREAD, &n) && n > 0)
			o->left = (uint32_t)n;
		else
			o->left = 0;
		o->drained = !o->left;
	}
}

bool
out_finish(struct agent *a, struct exec *x)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct stream_out *o = &x->out[i];
		uint32_t before;

		do {
			before = o->window;
			out_send(a, x, i);
		} while (!o->drained && o->window != before);
	}
	return x->out[0].drained && x->out[1].drained;
}

void
out_credit(struct exec *x, unsigned which, uint32_t n)
{
	struct stream_out *o;

	if (which < 1 || which > 2)
		return;
	o = &x->out[which - 1];
	if (n <= CHANNEL_WINDOW - o->window)
		o->window += n;
}
