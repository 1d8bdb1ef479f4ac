#include "cmd/forge-init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXECS 64 /* commands */
#define SLOTS 512 /* and connections, in the slots behind them */
#define GRACE 5000 /* ms, of a SHUTDOWN that does not say */

static struct exec execs[SLOTS];
static size_t nslots; /* those behind are free */

/*
 * Streams whose EXEC was refused in the middle: the errno to answer with
 * when its last part has come.  Without this the rest would be a new EXEC.
 */
static unsigned char refused[65536];

/* ---- EXEC ---- */

static struct exec *
find(uint16_t stream)
{
	size_t i;

	for (i = 0; stream && i < nslots; i++)
		if (execs[i].stream == stream)
			return &execs[i];
	return NULL;
}

/* Its EXEC is complete, or it is a connection. */
static bool
live(const struct exec *x)
{
	return x->pid || x->socket || x->listening || x->accepting;
}

static struct exec *
running(uint16_t stream)
{
	struct exec *x = find(stream);

	return x && live(x) ? x : NULL;
}

/* One of the slots from i up to end. */
static struct exec *
take_slot(uint16_t stream, size_t i, size_t end)
{
	for (; i < end; i++)
		if (!execs[i].stream) {
			execs[i].stream = stream;
			nslots = nslots > i ? nslots : i + 1;
			return &execs[i];
		}
	return NULL;
}

static int
add_part(struct exec *x, const struct frame *f)
{
	char *p;

	if (f->length > CHANNEL_EXEC_MAX - x->nparts)
		return E2BIG;
	/* One more: the request is terminated whatever was sent. */
	p = realloc(x->parts, x->nparts + f->length + 1);
	if (!p)
		return ENOMEM;
	x->parts = p;
	memcpy(p + x->nparts, f->payload, f->length);
	x->nparts += f->length;
	p[x->nparts] = '\0';
	return 0;
}

static void
start(struct agent *a, struct exec *x)
{
	unsigned char pid[4];
	int e = exec_start(x);

	if (e) {
		agent_send_exit(a, x->stream, CHANNEL_EXEC_FAILED,
			(uint32_t)e);
		exec_close(x);
		return;
	}
	frame_put32(pid, (uint32_t)x->pid);
	(void)agent_send(a, CHANNEL_STARTED, x->stream, pid, sizeof(pid));
}

static void
on_exec(struct agent *a, const struct frame *f)
{
	struct exec *x = find(f->stream);
	bool last = !(f->flags & FRAME_MORE);
	int e;

	if (!f->stream || (x && live(x)))
		return;
	e = refused[f->stream];
	if (!e && !x)
		x = take_slot(f->stream, 0, EXECS);
	if (!e)
		e = x ? add_part(x, f) : EAGAIN;
	if (e && x)
		exec_close(x);
	refused[f->stream] = last ? 0 : (unsigned char)e;
	if (!last)
		return;
	if (e)
		agent_send_exit(a, f->stream, CHANNEL_EXEC_FAILED,
			(uint32_t)e);
	else
		start(a, x);
}

/* ---- CONNECT, LISTEN, ACCEPT ---- */

/* A slot that listens on that port, or waits for a connection to it. */
static struct exec *
of_port(uint16_t port, bool listening)
{
	size_t i;

	for (i = EXECS; i < nslots; i++)
		if (execs[i].port == port &&
			(listening ? execs[i].listening :
				     execs[i].accepting))
			return &execs[i];
	return NULL;
}

static int
accept_start(struct exec *x)
{
	if (!of_port(x->port, true))
		return ECONNREFUSED;
	x->accepting = true;
	return 0;
}

static int
begin(struct agent *a, struct exec *x, uint8_t type)
{
	if (type == CHANNEL_CONNECT)
		return connect_start(x);
	return type == CHANNEL_LISTEN ? listen_start(a, x) : accept_start(x);
}

static void
on_connect(struct agent *a, const struct frame *f)
{
	struct exec *x;
	int e = EAGAIN;

	if (!f->stream || f->length != 2 || find(f->stream))
		return;
	x = take_slot(f->stream, EXECS, SLOTS);
	if (x) {
		x->port = frame_get16(f->payload);
		e = begin(a, x, f->type);
	}
	if (e)
		agent_send_exit(a, f->stream, CHANNEL_EXEC_FAILED,
			(uint32_t)e);
	if (e && x)
		exec_close(x);
}

/* ---- the rest of what the host says ---- */

static void
on_stdin(struct agent *a, const struct frame *f)
{
	struct exec *x = running(f->stream);

	if (!x || x->listening || x->accepting)
		return;
	if (f->type == CHANNEL_STDIN)
		stdin_data(a, x, f->payload, f->length);
	else
		stdin_eof(a, x);
}

static void
on_credit(const struct frame *f)
{
	struct exec *x = running(f->stream);

	if (x && f->length == 5)
		out_credit(x, f->payload[0], frame_get32(f->payload + 1));
}

static void
on_signal(struct agent *a, const struct frame *f)
{
	struct exec *x = running(f->stream);
	uint32_t sig;

	if (!x || x->exited || f->length != 4)
		return;
	sig = frame_get32(f->payload);
	if (x->listening || x->accepting) {
		exec_close(x); /* first: who hears of it may want the port */
		agent_send_exit(a, f->stream, CHANNEL_EXITED, 0);
	} else if (x->socket)
		connect_reset(x);
	else if (sig > 0 && sig <= 64)
		(void)kill(-x->pid, (int)sig);
}

static void
on_winsize(const struct frame *f)
{
	struct exec *x = running(f->stream);

	if (x && f->length == 4)
		exec_resize(x, frame_get16(f->payload),
			frame_get16(f->payload + 2));
}

/* Nothing of ours runs yet; what a guest started itself may. */
static void
on_identity(struct agent *a, const struct frame *f)
{
	const char *what = "";
	char text[160];

	if (!identity_change(f->payload, f->length, &what)) {
		(void)agent_send(a, CHANNEL_READY, 0, NULL, 0);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	(void)agent_send_text(a, CHANNEL_FAULT, text);
}

static void
on_control(struct agent *a, const struct frame *f)
{
	if (f->type == CHANNEL_PING && f->length <= 64)
		(void)agent_send(a, CHANNEL_PONG, 0, f->payload, f->length);
	else if (f->type == CHANNEL_IDENTITY && a->pid1)
		on_identity(a, f);
	else if (f->type == CHANNEL_CLOCK && a->pid1 && f->length == 8)
		set_clock(frame_get64(f->payload));
	else if (f->type == CHANNEL_ENTROPY && a->pid1)
		add_entropy(f->payload, f->length);
}

static void
kill_execs(int sig)
{
	size_t i;

	for (i = 0; i < nslots; i++)
		if (execs[i].pid && !execs[i].exited)
			(void)kill(-execs[i].pid, sig);
}

static void
on_shutdown(const struct agent *a, const struct frame *f)
{
	uint32_t grace = f->length == 4 ? frame_get32(f->payload) : GRACE;

	if (a->place)
		halt_place(grace);
	if (a->pid1)
		halt_system(a->restart, grace);
	kill_execs(SIGTERM);
	wait_children(grace);
}

/* True: the host wants the end. */
static bool
dispatch(struct agent *a, const struct frame *f)
{
	switch (f->type) {
	case CHANNEL_EXEC:
		on_exec(a, f);
		break;
	case CHANNEL_CONNECT:
	case CHANNEL_LISTEN:
	case CHANNEL_ACCEPT:
		on_connect(a, f);
		break;
	case CHANNEL_STDIN:
	case CHANNEL_STDIN_EOF:
		on_stdin(a, f);
		break;
	case CHANNEL_CREDIT:
		on_credit(f);
		break;
	case CHANNEL_SIGNAL:
		on_signal(a, f);
		break;
	case CHANNEL_WINSIZE:
		on_winsize(f);
		break;
	case CHANNEL_SHUTDOWN:
		on_shutdown(a, f);
		return true;
	default:
		on_control(a, f);
		break;
	}
	return false;
}

/* ---- children ---- */

static void
ended(struct exec *x, int status)
{
	x->exited = true;
	x->exit_ms = now_ms();
	x->exit_kind = WIFSIGNALED(status) ? CHANNEL_SIGNALED : CHANNEL_EXITED;
	x->exit_value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) :
							 WEXITSTATUS(status));
	out_last(x);
}

/* Ours, and as PID 1 everybody's orphans. */
static void
reap(void)
{
	int status;
	pid_t pid;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < nslots; i++)
			if (execs[i].pid == pid && !execs[i].exited)
				ended(&execs[i], status);
}

/* ---- the loop ---- */

enum { FD_CHANNEL, FD_SIGNAL, FD_EXECS };

/* For x: its stdin, stdout and stderr, as far as there is something to do. */
static void
watch(const struct exec *x, struct pollfd *fds)
{
	bool pending = x->start < x->end;
	int k;

	/* A pipe without a reader says POLLERR even when not asked. */
	fds[0].fd = !x->exited && (pending || !x->tty) ? x->in : -1;
	fds[0].events = pending || x->connecting ? POLLOUT : 0;
	/* With nobody to give it to, a connection waits in the kernel. */
	if (x->listening && of_port(x->port, false))
		fds[0].events = POLLIN;
	for (k = 0; k < 2; k++) {
		const struct stream_out *o = &x->out[k];

		fds[k + 1].fd = o->window && !o->drained && !x->connecting ?
			o->fd :
			-1;
		fds[k + 1].events = POLLIN;
	}
}

/* Fill in fds for the slots in their order; returns how long to wait. */
static int
collect(const struct agent *a, int sigfd, struct pollfd *fds, nfds_t *ret_n)
{
	int timeout = -1;
	size_t i;

	fds[FD_CHANNEL] = (struct pollfd){ .fd = a->fd, .events = POLLIN };
	fds[FD_SIGNAL] = (struct pollfd){ .fd = sigfd, .events = POLLIN };
	*ret_n = FD_EXECS;
	while (nslots && !execs[nslots - 1].stream)
		nslots--;
	for (i = 0; i < nslots; i++) {
		if (!live(&execs[i]))
			continue;
		watch(&execs[i], fds + *ret_n);
		*ret_n += 3;
		if (execs[i].exited)
			timeout = 20; /* a terminal that settles */
		if (connect_over(&execs[i]))
			timeout = 0;
	}
	return timeout;
}

static void
serve(struct agent *a, struct exec *x, const struct pollfd *p)
{
	if (x->connecting || x->listening) {
		if (p[0].revents && x->connecting)
			connect_done(a, x);
		else if (p[0].revents & POLLIN)
			listen_accept(a, x, of_port(x->port, false));
		return;
	}
	if (p[0].fd >= 0 && p[0].revents && !x->exited) {
		if (x->start < x->end)
			stdin_feed(a, x);
		else
			stdin_gone(a, x);
	}
	if (p[1].fd >= 0 && p[1].revents)
		out_send(a, x, 0);
	if (p[2].fd >= 0 && p[2].revents)
		out_send(a, x, 1);
	if (connect_over(x) || (x->exited && out_finish(a, x))) {
		agent_send_exit(a, x->stream, x->exit_kind, x->exit_value);
		exec_close(x);
	}
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

static void
drain_signals(int sigfd)
{
	struct signalfd_siginfo si[8];

	while (read(sigfd, si, sizeof(si)) > 0)
		;
}

/* True: this is the end. */
static bool
frames(struct agent *a)
{
	struct frame f;

	while (frame_next(&a->reader, &f))
		if (dispatch(a, &f))
			return true;
	return false;
}

void
agent_loop(struct agent *a)
{
	static struct pollfd fds[FD_EXECS + 3 * SLOTS];
	int sigfd = open_signals();
	size_t i;
	bool end;

	for (i = 0; i < SLOTS; i++)
		execs[i] = EXEC_INIT;
	end = frames(a); /* what came together with CONFIG */
	(void)fcntl(a->fd, F_SETFL, fcntl(a->fd, F_GETFL) | O_NONBLOCK);
	while (!end) {
		nfds_t n, k = FD_EXECS;
		int timeout = collect(a, sigfd, fds, &n);

		if (poll(fds, n, timeout) < 0)
			continue;
		if (fds[FD_SIGNAL].revents) {
			drain_signals(sigfd);
			reap();
		}
		/* First, while the slots are those that were polled. */
		for (i = 0; k < n; i++)
			if (live(&execs[i])) {
				serve(a, &execs[i], fds + k);
				k += 3;
			}
		if (fds[FD_CHANNEL].revents)
			end = agent_fill(a) || frames(a);
	}
	kill_execs(SIGKILL);
	wait_children(1000);
	(void)close(sigfd);
}
