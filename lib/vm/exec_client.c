#include "lib/vm/exec_client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/mask.h"
#include "lib/base/signals.h"
#include "lib/base/banned.h"

#define ESCAPE 0x1d /* control-], as telnet and virsh have it */
#define IO_ERRORS 4096
#define GRACE 10000 /* ms from our signal to the command's end */
#define STREAM 1 /* a connection carries one command */

/* ---- frames ---- */

static void
send_frame(struct exec_client *c, enum channel_type type, const void *p,
	size_t n, uint8_t flags)
{
	struct frame f = { .type = (uint8_t)type, .flags = flags,
		.stream = STREAM, .length = (uint32_t)n, .payload = p };

	conn_send(&c->conn, &f);
}

static void
add_string(struct buf *b, char what, const char *s)
{
	buf_addc(b, what);
	buf_add(b, s, strlen(s) + 1);
}

/* What came through --env-fd: NUL-separated, the last NUL may be missing. */
static void
add_env(struct buf *b, const struct buf *env)
{
	size_t pos = 0;

	while (pos < env->len) {
		add_string(b, 'e', env->s + pos);
		pos += strlen(env->s + pos) + 1;
	}
}

static void
add_size(struct buf *b)
{
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	char text[32];

	(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &ws); /* else the default */
	(void)snprintf(text, sizeof(text), "%ux%u", ws.ws_row, ws.ws_col);
	add_string(b, 't', text);
}

static int
send_exec(struct exec_client *c, struct err *err)
{
	const struct exec_request *r = c->request;
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i, pos;

	if (r->console) {
		c->sent = true;
		c->stdin_open = r->types;
		send_frame(c, CHANNEL_CONSOLE, &r->types, 1, 0);
		return 0;
	}
	for (i = 0; r->argv[i]; i++)
		add_string(&b, 'a', r->argv[i]);
	for (i = 0; r->env && i < r->env->n; i++)
		add_string(&b, 'e', r->env->v[i]);
	add_env(&b, &c->env);
	if (r->workdir)
		add_string(&b, 'c', r->workdir);
	if (r->user)
		add_string(&b, 'u', r->user);
	if (r->tty)
		add_size(&b);
	if (r->builtin)
		add_string(&b, 'b', "");
	if (b.len > CHANNEL_EXEC_MAX)
		return err_set(err, ERR_PLACE,
			"arguments and environment are more than 2 MiB");
	for (pos = 0; pos < b.len; pos += FRAME_PAYLOAD_MAX) {
		size_t n = b.len - pos;
		bool more = n > FRAME_PAYLOAD_MAX;

		send_frame(c, CHANNEL_EXEC, b.s + pos,
			more ? FRAME_PAYLOAD_MAX : n, more ? FRAME_MORE : 0);
	}
	explicit_bzero(b.s, b.len); /* it may hold secrets */
	explicit_bzero(c->env.s, c->env.len);
	buf_release(&c->env);
	c->sent = true;
	return 0;
}

static int
read_env(struct exec_client *c, struct err *err)
{
	ssize_t n = buf_read_some(&c->env, c->request->env_fd,
		EXEC_ENV_MAX + 1);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return err_sys(err, "--env-fd %d", c->request->env_fd);
	if (c->env.len > EXEC_ENV_MAX)
		return err_set(err, ERR_PLACE, "--env-fd: more than 1 MiB");
	if (n > 0)
		return 0;
	c->reading_env = false;
	return send_exec(c, err);
}

/* ---- stdin ---- */

static void
end_stdin(struct exec_client *c)
{
	if (!c->stdin_open)
		return;
	c->stdin_open = false;
	send_frame(c, CHANNEL_STDIN_EOF, NULL, 0, 0);
}

/*
 * What it is given or what it says cannot be dealt with: leave, and the
 * supervisor kills it.  A guest may never answer, so nobody waits for that.
 */
static void
io_failed(struct exec_client *c)
{
	c->stdin_open = false;
	c->done = true;
}

static ssize_t
next_input(struct exec_client *c, void *p, size_t n)
{
	const struct exec_io *io = c->request->io;
	ssize_t k;

	if (!io)
		return read(STDIN_FILENO, p, n);
	k = io->input ? io->input(io->arg, p, n, &c->io_err) : 0;
	if (k < 0)
		io_failed(c);
	return k < 0 ? 0 : k;
}

static void
read_stdin(struct exec_client *c)
{
	static char chunk[FRAME_PAYLOAD_MAX];
	size_t want = c->stdin_window < sizeof(chunk) ? c->stdin_window :
							 sizeof(chunk);
	ssize_t n = next_input(c, chunk, want);
	const char *escape;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_stdin(c);
		return;
	}
	if (c->request->console && c->raw &&
		(escape = memchr(chunk, ESCAPE, (size_t)n))) {
		n = escape - chunk;
		c->done = true;
	}
	c->stdin_window -= (uint32_t)n;
	send_frame(c, CHANNEL_STDIN, chunk, (size_t)n, 0);
}

/* ---- stdout, stderr ---- */

static void
give_credit(struct exec_client *c, int which)
{
	struct sink *s = &c->sinks[which];
	unsigned char p[5] = { (unsigned char)(which + 1) };

	if (s->written < CHANNEL_WINDOW / 4)
		return;
	frame_put32(p + 1, s->written);
	s->written = 0;
	send_frame(c, CHANNEL_CREDIT, p, sizeof(p), 0);
}

static size_t
sink_left(const struct sink *s)
{
	return s->b.len - s->at;
}

/*
 * Nobody reads our stdout any more: what a pipeline expects then is that the
 * writer dies of SIGPIPE, and so does the command.  Any other error (a full
 * disk) is told: bytes were lost.
 */
static void
sink_broken(struct exec_client *c, struct sink *s)
{
	if (errno != EPIPE)
		(void)snprintf(c->why, sizeof(c->why), "cannot write to %s: %s",
			s == &c->sinks[0] ? "stdout" : "stderr",
			strerrordesc_np(errno));
	s->fd = -1;
	/* Without it the command may never come to its end. */
	s->written += (uint32_t)sink_left(s);
	give_credit(c, s == &c->sinks[0] ? 0 : 1);
	buf_reset(&s->b);
	s->at = 0;
	if (s == &c->sinks[0])
		exec_client_signal(c, SIGPIPE);
}

/*
 * A pipe that polls writable takes a page without blocking, whoever shares
 * it; more only when it is a file.
 */
static void
write_sink(struct exec_client *c, int which)
{
	struct sink *s = &c->sinks[which];
	size_t n = sink_left(s);
	struct stat st;
	ssize_t k;

	if (n > 4096 && (fstat(s->fd, &st) || !S_ISREG(st.st_mode)))
		n = 4096;
	k = write(s->fd, s->b.s + s->at, n);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (k < 0) {
		sink_broken(c, s);
		return;
	}
	s->at += (size_t)k;
	/* Moved down when that is cheap, not for each page written. */
	if (s->at >= CHANNEL_WINDOW || !sink_left(s)) {
		buf_consume(&s->b, s->at);
		s->at = 0;
	}
	s->written += (uint32_t)k;
	give_credit(c, which);
}

/* request->io takes it at once: it is only counted. */
static void
io_output(struct exec_client *c, const struct frame *f, int which)
{
	const struct exec_io *io = c->request->io;

	if (which && io->errors->len + f->length <= IO_ERRORS)
		buf_add(io->errors, f->payload, f->length);
	if (!which && !c->io_err.code &&
		io->output(io->arg, f->payload, f->length, &c->io_err))
		io_failed(c);
	c->sinks[which].written += f->length;
	give_credit(c, which);
}

static void
on_output(struct exec_client *c, const struct frame *f, int which)
{
	struct sink *s = &c->sinks[which];

	if (c->request->io) {
		io_output(c, f, which);
		return;
	}
	if (s->fd < 0 || sink_left(s) + f->length > CHANNEL_WINDOW) {
		s->written += f->length; /* nobody wants it */
		give_credit(c, which);
		return;
	}
	buf_add(&s->b, f->payload, f->length);
	if (c->mask[which])
		mask_text(s->b.s + s->b.len - f->length, f->length);
}

/* ---- the end ---- */

static void
exec_failed(struct exec_client *c, uint32_t e)
{
	const char *text = strerrordesc_np((int)e);

	if (c->request->console) {
		c->status = EXIT_CONFLICT;
		(void)snprintf(c->why, sizeof(c->why), "%s",
			e == EBUSY ? "somebody else types on this console; "
				     "--read-only is free" :
				     "we were too slow for the console");
		return;
	}
	c->status = e == ENOENT ? EXIT_NOCMD : EXIT_NOEXEC;
	if (e == E2BIG || e == EAGAIN || e == ENOMEM)
		c->status = EXIT_PLACE;
	(void)snprintf(c->why, sizeof(c->why), "cannot execute '%.120s': %s",
		c->request->argv[0], text ? text : "unknown error");
}

static void
on_exit_frame(struct exec_client *c, const struct frame *f)
{
	uint32_t value;

	if (f->length != 5)
		return;
	value = frame_get32(f->payload + 1);
	c->exited = true;
	c->stdin_open = false;
	if (f->payload[0] == CHANNEL_EXITED)
		c->status = (int)(value & 255);
	else if (f->payload[0] == CHANNEL_SIGNALED)
		c->status = EXIT_SIGNAL + (int)(value & 127);
	else
		exec_failed(c, value);
}

static void
dispatch(struct exec_client *c, const struct frame *f)
{
	switch (f->type) {
	case CHANNEL_STDOUT:
		on_output(c, f, 0);
		break;
	case CHANNEL_STDERR:
		on_output(c, f, 1);
		break;
	case CHANNEL_CREDIT:
		if (f->length == 5 && f->payload[0] == 0)
			c->stdin_window += frame_get32(f->payload + 1);
		break;
	case CHANNEL_STDIN_CLOSED:
		end_stdin(c);
		break;
	case CHANNEL_EXIT:
		on_exit_frame(c, f);
		break;
	default:
		break;
	}
}

/* ---- the loop's parts ---- */

static void
make_raw(struct exec_client *c)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &c->saved))
		return;
	t = c->saved;
	cfmakeraw(&t);
	c->raw = !tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

int
exec_client_open(struct exec_client *c, const struct exec_request *r,
	int sock, struct err *err)
{
	memset(c, 0, sizeof(*c));
	c->request = r;
	c->env = c->sinks[0].b = c->sinks[1].b = BUF_INIT;
	c->sinks[0].fd = STDOUT_FILENO;
	c->sinks[1].fd = STDERR_FILENO;
	c->stdin_window = CHANNEL_WINDOW;
	c->stdin_open = true;
	c->killed = -1;
	conn_init(&c->conn, sock);
	c->reading_env = r->env_fd >= 0;
	if (r->tty)
		make_raw(c);
	/* What a guest says does nothing to a terminal but on request. */
	c->mask[0] = !r->tty && isatty(STDOUT_FILENO);
	c->mask[1] = !r->tty && isatty(STDERR_FILENO);
	return c->reading_env ? 0 : send_exec(c, err);
}

void
exec_client_close(struct exec_client *c)
{
	if (c->raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
	conn_release(&c->conn);
	buf_release(&c->env);
	buf_release(&c->sinks[0].b);
	buf_release(&c->sinks[1].b);
}

static bool
wants_stdin(const struct exec_client *c)
{
	return c->sent && c->stdin_open && c->stdin_window &&
		!conn_full(&c->conn);
}

int
exec_client_fds(const struct exec_client *c, struct pollfd *fds)
{
	bool want = wants_stdin(c) && !c->request->io;
	int i;

	fds[0] = (struct pollfd){ .fd = c->conn.fd,
		.events = conn_events(&c->conn) };
	fds[1] = (struct pollfd){ .fd = want ? STDIN_FILENO : -1,
		.events = POLLIN };
	fds[2] = (struct pollfd){
		.fd = c->reading_env ? c->request->env_fd : -1,
		.events = POLLIN };
	for (i = 0; i < 2; i++)
		fds[3 + i] = (struct pollfd){
			.fd = sink_left(&c->sinks[i]) ? c->sinks[i].fd : -1,
			.events = POLLOUT };
	return EXEC_CLIENT_FDS;
}

static int
read_conn(struct exec_client *c)
{
	struct frame f;
	int end = conn_fill(&c->conn);

	while (frame_next(&c->conn.reader, &f))
		if (f.stream == STREAM)
			dispatch(c, &f);
	return end && !c->exited ? -1 : 0;
}

int
exec_client_step(struct exec_client *c, const struct pollfd *fds,
	struct err *err)
{
	if (fds[2].fd >= 0 && fds[2].revents && read_env(c, err))
		return -1;
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && read_conn(c))
		return err_set(err, ERR_PLACE, "the VM ended%s",
			c->request->console ? "" : " before the command did");
	if (fds[1].fd >= 0 && fds[1].revents && c->stdin_open)
		read_stdin(c);
	if (fds[3].fd >= 0 && fds[3].revents && c->sinks[0].fd >= 0)
		write_sink(c, 0);
	if (fds[4].fd >= 0 && fds[4].revents && c->sinks[1].fd >= 0)
		write_sink(c, 1);
	while (c->request->io && wants_stdin(c))
		read_stdin(c); /* at most a window */
	(void)conn_flush(&c->conn); /* its end is seen when reading */
	if (c->exited && !sink_left(&c->sinks[0]) && !sink_left(&c->sinks[1]))
		c->done = true;
	if (c->done && c->why[0] && !c->status)
		c->status = EXIT_FAILED;
	return 0;
}

void
exec_client_signal(struct exec_client *c, int sig)
{
	unsigned char p[4];

	if (sig == SIGWINCH) {
		struct winsize ws;

		if (!c->request->tty || ioctl(STDIN_FILENO, TIOCGWINSZ, &ws))
			return;
		frame_put16(p, ws.ws_row);
		frame_put16(p + 2, ws.ws_col);
		send_frame(c, CHANNEL_WINSIZE, p, sizeof(p), 0);
		return;
	}
	frame_put32(p, (uint32_t)sig);
	send_frame(c, CHANNEL_SIGNAL, p, sizeof(p), 0);
}

/* ---- forge-vm exec ---- */

/* A command that does not heed it has some time, as with run. */
static void
on_signal(struct exec_client *c, int sig)
{
	bool end = sig == SIGTERM || sig == SIGHUP;

	if (c->request->console && (end || sig == SIGINT))
		c->done = true;
	else if (!c->request->console || sig == SIGWINCH)
		exec_client_signal(c, sig);
	if (end && c->killed < 0 && !c->request->console) {
		c->killed = clock_mono() + GRACE;
		c->status = EXIT_SIGNAL + sig;
	}
}

static int
loop(struct exec_client *c, int sigfd, struct err *err)
{
	/* Whatever is to be sent first need not be waited for. */
	while (c->request->io && wants_stdin(c))
		read_stdin(c);
	(void)conn_flush(&c->conn);
	while (!c->done) {
		struct pollfd fds[EXEC_CLIENT_FDS + 1];
		int sig, n = exec_client_fds(c, fds);

		fds[n] = (struct pollfd){ .fd = sigfd, .events = POLLIN };
		if (poll(fds, (nfds_t)n + 1, clock_left(c->killed)) < 0 &&
			errno != EINTR)
			return err_sys(err, "poll");
		while ((sig = signals_next(sigfd)))
			on_signal(c, sig);
		if (c->killed >= 0 && !clock_left(c->killed))
			break; /* the supervisor kills it when we leave */
		if (exec_client_step(c, fds, err))
			return -1;
	}
	return 0;
}

int
exec_client_run(const struct exec_request *r, int sock, int *ret_status,
	struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT,
		SIGUSR1, SIGUSR2, SIGWINCH, 0 };
	struct exec_client c;
	int sigfd = -1, rc;

	rc = exec_client_open(&c, r, sock, err) || signals_open(signals, &sigfd, err) ||
			loop(&c, sigfd, err) ?
		-1 :
		0;
	exec_client_close(&c);
	cleanup_close(&sigfd);
	if (!rc && !c.io_err.code && c.why[0])
		(void)err_set(err, ERR_SYS, "%s", c.why);
	if (!rc && c.io_err.code) {
		*err = c.io_err;
		rc = -1;
	}
	*ret_status = c.status;
	return rc;
}
