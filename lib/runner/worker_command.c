#include "lib/runner/worker_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/runner/place.h"
#include "lib/base/banned.h"

#define SERVE "/forge.agent.v1.Agent/Serve"
#define RUN "/forge.agent.v1.Agent/Run"
#define CHUNK 16384
#define STDIN_MAX (1 << 17) /* bytes for a command that does not read */
#define GRACE 10000 /* ms from TERM to KILL */
#define COMMANDS_MAX 64

struct command {
	struct command *next;
	struct worker *w;
	struct grpc_call *call; /* NULL: nobody listens any more */
	struct child child;
	struct loop_fd in, out, err, ended;
	struct loop_timer kill;
	struct buf input;
	bool eof; /* of stdin, after what is in input */
	bool over; /* status is known */
	bool told; /* to end */
	int status;
};

/* ---- the end ---- */

static void
release(struct command *c)
{
	struct command **at = &c->w->commands;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	loop_timer_clear(c->w->loop, &c->kill);
	loop_del(c->w->loop, &c->in);
	loop_del(c->w->loop, &c->out);
	loop_del(c->w->loop, &c->err);
	loop_del(c->w->loop, &c->ended);
	child_close(&c->child);
	cleanup_close(&c->child.pidfd);
	buf_release(&c->input);
	free(c);
}

static void
send_output(struct command *c, Forge__Agent__V1__RunOutput *m)
{
	if (c->call)
		(void)pb_send(c->call, &m->base);
}

/* All that it wrote has been read, and it has ended: say so, and go when
 * the other end has heard. */
static void
maybe_over(struct command *c)
{
	Forge__Agent__V1__RunOutput m = FORGE__AGENT__V1__RUN_OUTPUT__INIT;

	if (!c->over || c->child.out >= 0 || c->child.err >= 0)
		return;
	if (!c->call) {
		release(c);
		return;
	}
	m.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STATUS;
	m.status = (uint32_t)c->status;
	send_output(c, &m);
	if (c->call)
		grpc_half_close(c->call);
}

static void
stop(struct command *c)
{
	if (c->over || c->told)
		return;
	c->told = true;
	proc_kill(&c->child, SIGTERM);
	loop_timer_set(c->w->loop, &c->kill, loop_now(c->w->loop) + GRACE);
}

static void
on_kill(struct loop_timer *t)
{
	struct command *c = CONTAINER(t, struct command, kill);

	if (!c->over)
		proc_kill(&c->child, SIGKILL);
}

static void
on_child(struct loop_fd *l, uint32_t events)
{
	struct command *c = CONTAINER(l, struct command, ended);
	struct proc_status s = { .value = EXIT_PLACE };
	struct err err = ERR_INIT;

	(void)events;
	loop_del(c->w->loop, l);
	if (proc_wait(&c->child, -1, &s, &err))
		log_warning("command.wait", "error", err.msg, NULL);
	c->status = proc_exit_status(&s);
	c->over = true;
	maybe_over(c);
}

/* ---- what it writes ---- */

static void
close_output(struct command *c, struct loop_fd *l, int *fd)
{
	loop_del(c->w->loop, l);
	cleanup_close(fd);
	*fd = -1;
	maybe_over(c);
}

static void
pass(struct command *c, struct loop_fd *l, int *fd, bool is_err)
{
	Forge__Agent__V1__RunOutput m = FORGE__AGENT__V1__RUN_OUTPUT__INIT;
	unsigned char chunk[CHUNK];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_output(c, l, fd);
		return;
	}
	if (is_err) {
		m.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDERR;
		m.stderr.data = chunk;
		m.stderr.len = (size_t)n;
	} else {
		m.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDOUT;
		m.stdout.data = chunk;
		m.stdout.len = (size_t)n;
	}
	send_output(c, &m);
	if (c->call && grpc_queued(c->call) > GRPC_QUEUE_LOW) {
		/* Who does not read makes it wait. */
		loop_del(c->w->loop, &c->out);
		loop_del(c->w->loop, &c->err);
	}
}

static void
on_out(struct loop_fd *l, uint32_t events)
{
	struct command *c = CONTAINER(l, struct command, out);

	(void)events;
	pass(c, l, &c->child.out, false);
}

static void
on_err(struct loop_fd *l, uint32_t events)
{
	struct command *c = CONTAINER(l, struct command, err);

	(void)events;
	pass(c, l, &c->child.err, true);
}

static void
watch(struct command *c)
{
	struct err err = ERR_INIT;

	if ((c->child.out >= 0 && !c->out.in &&
			loop_add(c->w->loop, &c->out, EPOLLIN, &err)) ||
		(c->child.err >= 0 && !c->err.in &&
			loop_add(c->w->loop, &c->err, EPOLLIN, &err)))
		log_warning("command.watch", "error", err.msg, NULL);
}

static void
on_drained(struct grpc_call *call)
{
	watch(grpc_arg(call));
}

/* ---- what it reads ---- */

static void
close_input(struct command *c)
{
	loop_del(c->w->loop, &c->in);
	cleanup_close(&c->child.in);
	c->child.in = -1;
	buf_release(&c->input);
}

static void
feed(struct command *c)
{
	struct err err = ERR_INIT;
	ssize_t n;

	while (c->child.in >= 0 && c->input.len) {
		n = write(c->child.in, c->input.s, c->input.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			close_input(c); /* it reads no more */
			break;
		}
		buf_consume(&c->input, (size_t)n);
	}
	if (c->child.in >= 0 && !c->input.len && c->eof)
		close_input(c);
	if (c->child.in >= 0 && c->input.len && !c->in.in) {
		if (loop_add(c->w->loop, &c->in, EPOLLOUT, &err))
			close_input(c);
	} else if (!c->input.len) {
		loop_del(c->w->loop, &c->in);
	}
	if (c->call)
		grpc_pause(c->call, c->input.len > STDIN_MAX);
}

static void
on_in(struct loop_fd *l, uint32_t events)
{
	(void)events;
	feed(CONTAINER(l, struct command, in));
}

static void
on_input(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct command *c = grpc_arg(call);
	Forge__Agent__V1__RunInput *m = pb_unpack(
		&forge__agent__v1__run_input__descriptor, p, n, &arena);

	if (!m)
		return;
	switch (m->payload_case) {
	case FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_STDIN:
		if (c->child.in >= 0)
			buf_add(&c->input, m->stdin.data, m->stdin.len);
		feed(c);
		break;
	case FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_EOF:
		c->eof = true;
		feed(c);
		break;
	case FORGE__AGENT__V1__RUN_INPUT__PAYLOAD_SIGNAL:
		if (!c->over && m->signal < (uint32_t)SIGRTMIN)
			proc_kill(&c->child, (int)m->signal);
		break;
	case FORGE__AGENT__V1__RUN_INPUT__PAYLOAD__NOT_SET:
	case _FORGE__AGENT__V1__RUN_INPUT__PAYLOAD__CASE_IS_INT_SIZE:
		break;
	}
}

/* Nobody listens any more: what runs is not wanted. */
static void
on_call_ended(struct grpc_call *call, int status, const char *why)
{
	struct command *c = grpc_arg(call);

	(void)status;
	(void)why;
	c->call = NULL;
	if (c->over) {
		release(c);
		return;
	}
	stop(c);
	watch(c); /* what it still says is thrown away */
}

/* ---- the beginning ---- */

static bool
allowed(const struct worker *w, const char *place)
{
	size_t i;

	for (i = 0; i < w->places.n; i++)
		if (!strcmp(w->places.v[i], place))
			return true;
	return false;
}

static int
spawn(struct command *c, const Forge__Agent__V1__RunOffer *o,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	struct place place = { .place = *o->place ? o->place :
						    c->w->places.v[0],
		.cpus = o->cpus ? (int)o->cpus : 1,
		.memory = o->memory ? (int64_t)o->memory : 512 << 20 };
	size_t i;

	if (!allowed(c->w, place.place))
		return err_set(err, ERR_PLACE,
			"commands may not run in '%.64s' of this host",
			place.place);
	if (!o->n_argv)
		return err_set(err, ERR_PLACE, "there is no command");
	if (place_prefix(c->w->st, &place, &p.argv, err))
		return -1;
	for (i = 0; i < o->n_argv; i++)
		argv_push(&p.argv, o->argv[i]);
	p.in = p.out = p.err = PROC_PIPE;
	p.new_group = true;
	p.parent_death = SIGTERM;
	return proc_spawn(&p, &c->child, err);
}

static int
watch_all(struct command *c, struct err *err)
{
	c->in.fd = c->child.in;
	c->out.fd = c->child.out;
	c->err.fd = c->child.err;
	c->ended.fd = c->child.pidfd;
	if (fd_nonblock(c->child.in, true) || fd_nonblock(c->child.out, true) ||
		fd_nonblock(c->child.err, true))
		return err_sys(err, "cannot set up pipes");
	watch(c);
	return loop_add(c->w->loop, &c->ended, EPOLLIN, err);
}

static void
complain(struct command *c, const struct err *err)
{
	CLEANUP_FREE char *line = xasprintf("forge-agent: %s\n", err->msg);
	Forge__Agent__V1__RunOutput m = FORGE__AGENT__V1__RUN_OUTPUT__INIT;

	m.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_STDERR;
	m.stderr.data = (uint8_t *)line;
	m.stderr.len = strlen(line);
	send_output(c, &m);
	c->status = EXIT_PLACE;
	c->over = true;
	maybe_over(c);
}

static void
take_up(struct worker *w, const Forge__Agent__V1__RunOffer *o)
{
	static const struct grpc_handler handler = { .message = on_input,
		.drained = on_drained, .ended = on_call_ended };
	Forge__Agent__V1__RunOutput m = FORGE__AGENT__V1__RUN_OUTPUT__INIT;
	struct command *c = xcalloc(1, sizeof(*c));
	struct err err = ERR_INIT;

	c->w = w;
	c->child = CHILD_INIT;
	c->input = BUF_INIT;
	c->in.ready = on_in;
	c->out.ready = on_out;
	c->err.ready = on_err;
	c->ended.ready = on_child;
	c->kill.fire = on_kill;
	c->next = w->commands;
	w->commands = c;
	c->call = grpc_start(w->client, RUN, &handler, c, 0);
	m.payload_case = FORGE__AGENT__V1__RUN_OUTPUT__PAYLOAD_ID;
	m.id = o->id;
	send_output(c, &m);
	if (spawn(c, o, &err) || watch_all(c, &err)) {
		proc_kill(&c->child, SIGKILL);
		child_close(&c->child);
		complain(c, &err);
	}
}

static void
on_offer(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	struct worker *w = grpc_arg(call);
	const struct command *c;
	int count = 0;
	Forge__Agent__V1__RunOffer *o = pb_unpack(
		&forge__agent__v1__run_offer__descriptor, p, n, &arena);

	for (c = w->commands; c; c = c->next)
		count++;
	if (o && w->client && count < COMMANDS_MAX)
		take_up(w, o);
}

/* A coordinator that is not forge's has no such service. */
static void
on_serve_ended(struct grpc_call *call, int status, const char *why)
{
	struct worker *w = grpc_arg(call);

	w->serve = NULL;
	log_debug("agent.serve", "status", grpc_status_name(status), "error",
		why, NULL);
}

void
serve_start(struct worker *w)
{
	static const struct grpc_handler handler = { .message = on_offer,
		.ended = on_serve_ended };
	Forge__Agent__V1__ServeMessage m = FORGE__AGENT__V1__SERVE_MESSAGE__INIT;

	if (!w->places.n)
		return;
	w->serve = grpc_start(w->client, SERVE, &handler, w, 0);
	m.version = (char *)(uintptr_t)FORGE_VERSION;
	m.places = w->places.v;
	m.n_places = w->places.n;
	(void)pb_send(w->serve, &m.base);
}

void
commands_free(struct worker *w)
{
	struct command *c, *next;

	for (c = w->commands; c; c = next) {
		next = c->next;
		proc_kill(&c->child, SIGTERM);
		release(c);
	}
}
