#include "cmd/forge-init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXECS 64

static struct exec execs[EXECS];

/* The EXEC that is being put together from its parts. */
static struct {
	char *p;
	size_t n;
	uint16_t stream;
} parts;

/* ---- frames ---- */

/* A port whose host side is not there yet says EAGAIN or takes nothing. */
static int
write_port(int fd, const unsigned char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EAGAIN) {
			struct pollfd w = { .fd = fd, .events = POLLOUT };

			(void)poll(&w, 1, 1000);
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int
agent_send(struct agent *a, uint8_t type, uint16_t stream,
	const void *payload, size_t n)
{
	static unsigned char out[FRAME_MAX];
	struct frame f = { .type = type, .stream = stream,
		.length = (uint32_t)n };

	/* One write for the whole: one trip through the virtqueue. */
	frame_header(&f, out);
	if (n)
		memcpy(out + FRAME_HEADER, payload, n);
	return write_port(a->fd, out, FRAME_HEADER + n);
}

int
agent_send_text(struct agent *a, uint8_t type, const char *text)
{
	return agent_send(a, type, 0, text, strlen(text));
}

/* More bytes; 0 when there were none just now, -1 at the end. */
static int
fill(struct agent *a)
{
	size_t room;
	void *p = frame_reader_space(&a->reader, &room);
	ssize_t n = read(a->fd, p, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	frame_reader_fill(&a->reader, (size_t)n);
	return 0;
}

int
agent_receive(struct agent *a, struct frame *ret)
{
	while (!frame_next(&a->reader, ret)) {
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		(void)poll(&p, 1, -1);
		if (fill(a))
			return -1;
	}
	return 0;
}

static void
send_exit(struct agent *a, uint16_t stream, uint8_t kind, uint32_t value)
{
	unsigned char p[5] = { kind };

	frame_put32(p + 1, value);
	(void)agent_send(a, CHANNEL_EXIT, stream, p, sizeof(p));
}

static void
send_credit(struct agent *a, uint16_t stream, uint8_t which, uint32_t n)
{
	unsigned char p[5] = { which };

	frame_put32(p + 1, n);
	(void)agent_send(a, CHANNEL_CREDIT, stream, p, sizeof(p));
}

/* ---- execs ---- */

static struct exec *
find(uint16_t stream)
{
	size_t i;

	for (i = 0; stream && i < EXECS; i++)
		if (execs[i].stream == stream)
			return &execs[i];
	return NULL;
}

static struct exec *
free_slot(void)
{
	size_t i;

	for (i = 0; i < EXECS; i++)
		if (!execs[i].stream)
			return &execs[i];
	return NULL;
}

static void
start(struct agent *a, uint16_t stream)
{
	struct exec *x = free_slot();
	unsigned char pid[4];
	int e;

	if (!x) {
		send_exit(a, stream, CHANNEL_EXEC_FAILED, EAGAIN);
		return;
	}
	e = exec_start(x, parts.p, parts.n);
	if (e) {
		send_exit(a, stream, CHANNEL_EXEC_FAILED, (uint32_t)e);
		return;
	}
	x->stream = stream;
	frame_put32(pid, (uint32_t)x->pid);
	(void)agent_send(a, CHANNEL_STARTED, stream, pid, sizeof(pid));
}

static void
drop_parts(void)
{
	free(parts.p);
	parts.p = NULL;
	parts.n = 0;
	parts.stream = 0;
}

static void
on_exec(struct agent *a, const struct frame *f)
{
	char *p;

	if (!f->stream || find(f->stream))
		return;
	if (parts.stream != f->stream)
		drop_parts();
	parts.stream = f->stream;
	if (parts.n + f->length > CHANNEL_EXEC_MAX ||
		!(p = realloc(parts.p, parts.n + f->length + 1))) {
		send_exit(a, f->stream, CHANNEL_EXEC_FAILED, E2BIG);
		drop_parts();
		return;
	}
	parts.p = p;
	memcpy(p + parts.n, f->payload, f->length);
	parts.n += f->length;
	if (f->flags & FRAME_MORE)
		return;
	start(a, f->stream);
	drop_parts();
}

/* ---- stdin ---- */

/* Give back what was taken, not in crumbs. */
static void
credit_stdin(struct agent *a, struct exec *x)
{
	if (x->taken < CHANNEL_WINDOW / 4 && x->start != x->end)
		return;
	if (x->taken)
		send_credit(a, x->stream, 0, x->taken);
	x->taken = 0;
}

static void
close_stdin(struct exec *x)
{
	if (x->in >= 0)
		(void)close(x->in);
	x->in = -1;
	x->start = x->end = 0;
}

static void
feed_stdin(struct agent *a, struct exec *x)
{
	ssize_t n;

	if (x->start < x->end) {
		n = write(x->in, x->pending + x->start, x->end - x->start);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			x->taken += (uint32_t)(x->end - x->start);
			close_stdin(x);
			credit_stdin(a, x);
			(void)agent_send(a, CHANNEL_STDIN_CLOSED, x->stream,
				NULL, 0);
			return;
		}
		x->start += (size_t)n;
		x->taken += (uint32_t)n;
		if (x->start == x->end)
			x->start = x->end = 0;
		credit_stdin(a, x);
	}
	if (x->in_eof && x->start == x->end)
		close_stdin(x);
}

static void
on_stdin(struct agent *a, const struct frame *f)
{
	struct exec *x = find(f->stream);

	if (!x || x->in_eof)
		return;
	if (x->in < 0) { /* nobody reads: the host may forget it */
		send_credit(a, x->stream, 0, f->length);
		return;
	}
	if (x->end + f->length > CHANNEL_WINDOW && x->start) {
		memmove(x->pending, x->pending + x->start, x->end - x->start);
		x->end -= x->start;
		x->start = 0;
	}
	if (x->end + f->length > CHANNEL_WINDOW)
		return; /* beyond the window: the host breaks its promise */
	memcpy(x->pending + x->end, f->payload, f->length);
	x->end += f->length;
	feed_stdin(a, x);
}

static void
on_stdin_eof(struct agent *a, const struct frame *f)
{
	struct exec *x = find(f->stream);
	static const unsigned char ctrl_d = 4;

	if (!x || x->in_eof)
		return;
	x->in_eof = true;
	if (x->in < 0)
		return;
	if (x->tty) { /* the master stays open, or the job gets a hang-up */
		if (x->end < CHANNEL_WINDOW)
			x->pending[x->end++] = ctrl_d;
		x->in_eof = false;
	}
	feed_stdin(a, x);
}

/* ---- stdout, stderr ---- */

static void
close_out(struct stream_out *o)
{
	if (o->fd >= 0)
		(void)close(o->fd);
	o->fd = -1;
	o->drained = true;
}

static void
send_output(struct agent *a, struct exec *x, int which)
{
	static unsigned char chunk[FRAME_PAYLOAD_MAX];
	struct stream_out *o = &x->out[which];
	size_t want = o->window < sizeof(chunk) ? o->window : sizeof(chunk);
	ssize_t n;

	if (o->fd < 0 || !want)
		return;
	n = read(o->fd, chunk, want);
	if (n > 0) {
		o->window -= (uint32_t)n;
		(void)agent_send(a, which ? CHANNEL_STDERR : CHANNEL_STDOUT,
			x->stream, chunk, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close_out(o); /* EIO is a terminal's way to say the end */
	} else if (x->exited && errno == EAGAIN) {
		o->drained = true; /* a grandchild may hold it for ever */
	}
}

static void
on_credit(const struct frame *f)
{
	struct exec *x = find(f->stream);
	uint32_t n;

	if (!x || f->length != 5 || f->payload[0] < 1 || f->payload[0] > 2)
		return;
	n = frame_get32(f->payload + 1);
	if (n <= CHANNEL_WINDOW - x->out[f->payload[0] - 1].window)
		x->out[f->payload[0] - 1].window += n;
}

/* ---- the rest of what the host says ---- */

static void
on_signal(const struct frame *f)
{
	struct exec *x = find(f->stream);
	uint32_t sig;

	if (!x || x->exited || f->length != 4)
		return;
	sig = frame_get32(f->payload);
	if (sig > 0 && sig < 65)
		(void)kill(-x->pid, (int)sig);
}

static void
on_winsize(const struct frame *f)
{
	struct exec *x = find(f->stream);

	if (x && f->length == 4)
		exec_resize(x, frame_get16(f->payload),
			frame_get16(f->payload + 2));
}

/* True: the host wants the end. */
static bool
dispatch(struct agent *a, const struct frame *f)
{
	switch (f->type) {
	case CHANNEL_EXEC:
		on_exec(a, f);
		break;
	case CHANNEL_STDIN:
		on_stdin(a, f);
		break;
	case CHANNEL_STDIN_EOF:
		on_stdin_eof(a, f);
		break;
	case CHANNEL_CREDIT:
		on_credit(f);
		break;
	case CHANNEL_SIGNAL:
		on_signal(f);
		break;
	case CHANNEL_WINSIZE:
		on_winsize(f);
		break;
	case CHANNEL_CLOCK:
		if (a->pid1 && f->length == 8)
			set_clock(frame_get64(f->payload));
		break;
	case CHANNEL_ENTROPY:
		if (a->pid1 && f->length <= 512)
			add_entropy(f->payload, f->length);
		break;
	case CHANNEL_PING:
		if (f->length <= 64)
			(void)agent_send(a, CHANNEL_PONG, 0, f->payload,
				f->length);
		break;
	case CHANNEL_SHUTDOWN:
		if (a->pid1)
			halt_system(a->restart, f->length == 4 ?
				frame_get32(f->payload) : 5000);
		return true;
	default:
		break;
	}
	return false;
}

/* ---- children ---- */

static void
reap(void)
{
	int status;
	pid_t pid;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < EXECS; i++) {
			struct exec *x = &execs[i];

			if (!x->stream || x->pid != pid)
				continue;
			x->exited = true;
			x->exit_kind = WIFSIGNALED(status) ? CHANNEL_SIGNALED :
							     CHANNEL_EXITED;
			x->exit_value = (uint32_t)(WIFSIGNALED(status) ?
					WTERMSIG(status) : WEXITSTATUS(status));
		}
}

/* After the exit: what is still in the pipes, then EXIT. */
static void
finish(struct agent *a, struct exec *x)
{
	int i;

	for (i = 0; i < 2; i++)
		while (!x->out[i].drained && x->out[i].window)
			send_output(a, x, i);
	if (!x->out[0].drained || !x->out[1].drained)
		return; /* the host must make room first */
	send_exit(a, x->stream, x->exit_kind, x->exit_value);
	exec_close(x);
}

/* ---- the loop ---- */

enum { FD_CHANNEL, FD_SIGNAL, FD_EXECS };

static int
collect(struct agent *a, int sigfd, struct pollfd *fds)
{
	int n = FD_EXECS;
	size_t i;
	int k;

	fds[FD_CHANNEL] = (struct pollfd){ .fd = a->fd, .events = POLLIN };
	fds[FD_SIGNAL] = (struct pollfd){ .fd = sigfd, .events = POLLIN };
	for (i = 0; i < EXECS; i++) {
		struct exec *x = &execs[i];
		bool live = x->stream != 0;

		fds[n].fd = live && x->start < x->end ? x->in : -1;
		fds[n++].events = POLLOUT;
		for (k = 0; k < 2; k++) {
			fds[n].fd = live && x->out[k].window ? x->out[k].fd :
							       -1;
			fds[n++].events = POLLIN;
		}
	}
	return n;
}

static void
serve_execs(struct agent *a, const struct pollfd *fds)
{
	const struct pollfd *p = fds + FD_EXECS;
	size_t i;

	for (i = 0; i < EXECS; i++, p += 3) {
		struct exec *x = &execs[i];

		if (!x->stream)
			continue;
		if (p[0].fd >= 0 && p[0].revents)
			feed_stdin(a, x);
		if (p[1].fd >= 0 && p[1].revents)
			send_output(a, x, 0);
		if (p[2].fd >= 0 && p[2].revents)
			send_output(a, x, 1);
		if (x->exited)
			finish(a, x);
	}
}

static void
kill_execs(void)
{
	size_t i;

	for (i = 0; i < EXECS; i++)
		if (execs[i].stream && !execs[i].exited)
			(void)kill(-execs[i].pid, SIGKILL);
}

/*
 * The host's end closed: a socket never comes back, so the agent ends; a
 * port in a guest may, so PID 1 waits without spinning.
 */
static int
host_gone(struct agent *a)
{
	if (!a->pid1) {
		kill_execs();
		return -1;
	}
	(void)poll(NULL, 0, 100);
	return 0;
}

static int
open_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
frames(struct agent *a)
{
	struct frame f;

	if (fill(a) && host_gone(a))
		return -1;
	while (frame_next(&a->reader, &f))
		if (dispatch(a, &f))
			return 1;
	return 0;
}

int
agent_loop(struct agent *a)
{
	static struct pollfd fds[FD_EXECS + 3 * EXECS];
	struct signalfd_siginfo si;
	int sigfd = open_signals(), rc;

	(void)fcntl(a->fd, F_SETFL, fcntl(a->fd, F_GETFL) | O_NONBLOCK);
	for (;;) {
		int n = collect(a, sigfd, fds);

		if (poll(fds, (nfds_t)n, -1) < 0)
			continue;
		if (fds[FD_CHANNEL].revents) {
			rc = frames(a);
			if (rc) {
				kill_execs();
				return rc > 0 ? 0 : -1;
			}
		}
		if (fds[FD_SIGNAL].revents) {
			while (read(sigfd, &si, sizeof(si)) > 0)
				;
			reap();
		}
		serve_execs(a, fds);
	}
}
