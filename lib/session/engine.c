#include "lib/session/engine_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/state/state.h"
#include "lib/session/worktree.h"
#include "lib/base/banned.h"

/* ---- what others see ---- */

const struct session *
engine_session(const struct engine *e)
{
	return &e->s;
}

struct state *
engine_state(struct engine *e)
{
	return e->st;
}

struct db *
engine_db(struct engine *e)
{
	return e->db;
}

const struct provider *
engine_provider(const struct engine *e)
{
	return &e->p;
}

void
engine_timer(struct engine *e, const void *own, int64_t when)
{
	size_t i;

	for (i = 0; i < e->hooks; i++)
		if (e->own[i] == own)
			e->timers[i] = when;
}

/* ---- states ---- */

/* Others hold the database for a moment; an end must be written. */
void
engine_move(struct engine *e, enum session_state to, const char *reason,
	struct json *data)
{
	struct err err = ERR_INIT;

	if (e->s.state == to) {
		json_free(data);
		return;
	}
	if (session_move(e->db, e->s.id, to, reason, -1, data, &err))
		engine_fail(e, &err);
	else
		e->s.state = to;
}

void
engine_fail(struct engine *e, const struct err *err)
{
	engine_end(e, SESSION_FAILED, err_status(err->code), "%s", err->msg);
}

/*
 * One that works is told to stop; one that is idle may write what it has to
 * when its stdin ends.
 */
static void
tell_to_end(struct engine *e, bool working)
{
	e->deadline = clock_mono() + TERM_GRACE;
	e->told_term = working;
	if (working)
		proc_kill(&e->agent, SIGTERM);
	agent_close_stdin(e);
}

void
engine_end(struct engine *e, enum session_state to, int status,
	const char *fmt, ...)
{
	bool working = e->phase == PHASE_TURN;
	va_list ap;

	if (e->phase >= PHASE_ENDING)
		return;
	e->to = to;
	e->status = status;
	va_start(ap, fmt);
	(void)vsnprintf(e->reason, sizeof(e->reason), fmt, ap);
	va_end(ap);
	err_clean(e->reason);
	e->phase = e->agent.pid ? PHASE_ENDING : PHASE_OVER;
	e->deadline = -1;
	if (e->agent.pid)
		tell_to_end(e, working);
}

/* ---- time ---- */

static void
deadline_over(struct engine *e)
{
	e->deadline = -1;
	if (e->phase == PHASE_LIMITED) {
		turn_limit_over(e);
	} else if (e->told_term) {
		proc_kill(&e->agent, SIGKILL);
	} else {
		/* Neither the end of stdin nor an interrupt moved it. */
		proc_kill(&e->agent, SIGTERM);
		e->told_term = true;
		e->deadline = clock_mono() + TERM_GRACE;
	}
}

static int64_t
sooner(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int64_t
next_deadline(const struct engine *e)
{
	int64_t next = sooner(e->deadline, e->start_deadline);
	size_t i;

	for (i = 0; i < e->hooks; i++)
		next = sooner(next, e->timers[i]);
	return next;
}

static bool
past(int64_t deadline)
{
	return deadline >= 0 && clock_left(deadline) == 0;
}

static void
check_time(struct engine *e)
{
	size_t i;

	if (past(e->deadline))
		deadline_over(e);
	if (past(e->start_deadline)) {
		e->start_deadline = -1;
		engine_end(e, SESSION_FAILED, EXIT_TIMEOUT,
			"the agent said nothing within its start timeout");
	}
	for (i = 0; i < e->hooks; i++)
		if (past(e->timers[i])) {
			e->timers[i] = -1;
			if (engine_hooks[i]->timer)
				engine_hooks[i]->timer(e, e->own[i]);
		}
}

/* ---- the loop ---- */

static void
read_signals(struct engine *e)
{
	int sig;

	while ((sig = signals_next(e->signals)))
		if (e->phase >= PHASE_ENDING)
			proc_kill(&e->agent, SIGKILL);
		else
			engine_end(e, SESSION_STOPPED, EXIT_SIGNAL + sig,
				"stopped by SIG%s", sigabbrev_np(sig));
}

static void
hear_bell(struct engine *e)
{
	char events[4096];

	while (read(e->bell, events, sizeof(events)) > 0)
		;
	turn_wishes(e);
}

static int
step(struct engine *e, struct err *err)
{
	struct pollfd p[] = { { .fd = e->signals, .events = POLLIN },
		{ .fd = e->bell, .events = POLLIN },
		{ .fd = e->out, .events = POLLIN },
		{ .fd = e->err, .events = POLLIN },
		{ .fd = e->in.len ? e->agent.in : -1, .events = POLLOUT },
		{ .fd = e->agent.pid ? e->agent.pidfd : -1,
			.events = POLLIN } };

	if (poll(p, ARRAY_SIZE(p), clock_left(next_deadline(e))) < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (p[0].revents)
		read_signals(e);
	if (p[1].revents)
		hear_bell(e);
	if (p[4].revents)
		agent_write(e);
	if (p[3].revents)
		agent_hear_errors(e);
	if (p[2].revents)
		(void)agent_read(e);
	if (p[5].revents)
		agent_ended(e);
	check_time(e);
	/* A process that stays tells the end of a turn by its result. */
	if (e->phase == PHASE_TURN && e->result && !e->p.per_turn)
		turn_over(e);
	if (e->phase == PHASE_ENDING && !e->agent.pid)
		e->phase = PHASE_OVER;
	turn_next(e);
	return 0;
}

/* ---- the end ---- */

static bool
more_to_do(struct engine *e)
{
	CLEANUP_MESSAGE struct message m = MESSAGE_INIT;
	struct err err = ERR_INIT;

	return message_next(e->db, e->s.id, MESSAGE_TEXT, &m, &err) == 1;
}

/*
 * The row says how it went.  A message that came at the last moment is not
 * lost: then the session goes on.
 */
static bool
write_end(struct engine *e)
{
	struct err err = ERR_INIT;
	struct json *data;
	int tries;

	if (e->to == SESSION_COMPLETED && more_to_do(e))
		return false;
	data = json_object();
	json_put_str(data, "state", session_state_name(e->to));
	if (*e->reason)
		json_put_str(data, "reason", e->reason);
	json_put_int(data, "status", e->status);
	ask_void(e, NULL);
	if (event_write(e, "status", data, &err) ||
		transcript_sync(&e->log, &err))
		log_warning("session.end", "id", e->s.id, "error", err.msg,
			NULL);
	for (tries = 0; tries < 5; tries++) {
		err = ERR_INIT;
		if (!session_move(e->db, e->s.id, e->to,
			    *e->reason ? e->reason : NULL, e->status, NULL,
			    &err)) {
			e->s.state = e->to;
			return true;
		}
		if (e->to == SESSION_COMPLETED && err.code == ERR_EXISTS)
			return false;
	}
	log_error("session.end", "id", e->s.id, "error", err.msg, NULL);
	return true;
}

static void
close_hooks(struct engine *e)
{
	size_t i;

	for (i = 0; i < e->hooks; i++)
		if (engine_hooks[i]->close)
			engine_hooks[i]->close(e, e->own[i]);
}

static int
open_hooks(struct engine *e, struct err *err)
{
	size_t i;

	for (i = 0; i < HOOKS_MAX; i++)
		e->timers[i] = -1;
	for (i = 0; engine_hooks[i]; i++) {
		if (i == HOOKS_MAX)
			BUG("more than %d hooks", HOOKS_MAX);
		if (engine_hooks[i]->open &&
			engine_hooks[i]->open(e, &e->own[i], err))
			return -1;
		e->hooks = i + 1;
	}
	return 0;
}

/* ---- the beginning ---- */

/* The worktree; without a repository a directory of its own. */
static int
make_dir(struct engine *e, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("session/%s/work", e->s.id);
	CLEANUP_FREE char *tree = NULL;

	if (worktree_make(e->st, &e->s, &tree, err))
		return -1;
	if (e->s.dir)
		return 0;
	if (fs_mkdirs(state_dir(e->st), dir, 0700, err))
		return -1;
	e->s.dir = xasprintf("%s/%s", state_path(e->st), dir);
	return session_dir_is(e->db, e->s.id, e->s.dir, err);
}

/* What a supervisor that died left undone is not our wish. */
static int
forget_wishes(struct engine *e, struct err *err)
{
	CLEANUP_MESSAGE struct message m = MESSAGE_INIT;
	int kind, rc = 0;

	for (kind = MESSAGE_INTERRUPT; kind <= MESSAGE_STOP && rc >= 0; kind++)
		while ((rc = message_next(e->db, e->s.id,
				(enum message_kind)kind, &m, err)) == 1)
			if (message_delivered(e->db, m.id, err))
				return -1;
	return rc;
}

static int
take_over(struct engine *e, struct err *err)
{
	return state_db(e->st, &e->db, err) ||
			state_lock(e->st, "session", e->run->id, 0, 5000,
				&e->lock, err) ||
			session_adopt(e->db, e->run->id, err) ||
			session_get(e->db, e->run->id, &e->s, err) ?
		-1 :
		0;
}

/* Until the worktree is there a signal ends us: that may take minutes. */
static int
prepare(struct engine *e, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };

	e->resumed = e->s.started &&
		(e->s.cut || json_bool(e->s.options, "once", false));
	return transcript_open(e->st, e->s.id, &e->log, err) ||
			session_bell_watch(e->st, e->s.id, &e->bell, err) ||
			(e->s.started && forget_wishes(e, err)) ||
			provider_load(e->st, e->s.provider, &e->p, err) ||
			make_dir(e, err) ||
			signals_open(signals, &e->signals, err) ||
			open_hooks(e, err) ||
			keeper_begin(e, err) ?
		-1 :
		0;
}

static void
hello(const struct engine *e)
{
	CLEANUP_FREE char *line = xasprintf("%s\n", e->s.id);

	if (e->run->notify_fd < 0)
		return;
	if (write_all(e->run->notify_fd, line, strlen(line)))
		log_debug("session.notify", "id", e->s.id, NULL);
	(void)close(e->run->notify_fd); /* a pipe */
}

/* Before anybody hears that it has ended: then its files are here. */
static void
come_back(struct engine *e)
{
	struct err err = ERR_INIT;

	if (!keeper_sync(e, &err))
		return;
	log_warning("session.keeper", "id", e->s.id, "error", err.msg, NULL);
	if (e->to != SESSION_COMPLETED)
		return;
	e->to = SESSION_FAILED;
	e->status = err_status(err.code);
	(void)snprintf(e->reason, sizeof(e->reason), "%s", err.msg);
}

static void
live(struct engine *e)
{
	struct err err = ERR_INIT;

	hello(e);
	if (prepare(e, &err))
		engine_fail(e, &err);
	turn_wishes(e);
	turn_still_limited(e);
	turn_next(e);
	do {
		while (e->phase != PHASE_OVER)
			if (step(e, &err)) {
				proc_kill(&e->agent, SIGKILL);
				engine_fail(e, &err);
				e->phase = PHASE_OVER;
			}
		come_back(e);
		if (write_end(e))
			break;
		e->phase = PHASE_IDLE;
		turn_next(e);
	} while (true);
	keeper_end(e);
	close_hooks(e);
}

static void
release(struct engine *e)
{
	struct proc_status status;
	struct err err = ERR_INIT;

	if (e->agent.pid && proc_stop(&e->agent, 0, &status, &err))
		log_warning("session.agent", "error", err.msg, NULL);
	agent_release(e);
	keeper_end(e);
	memfile_close(&e->env);
	netns_close(&e->netns);
	cleanup_close(&e->err_file);
	buf_release(&e->line);
	buf_release(&e->said);
	buf_release(&e->in);
	translator_free(e->tr);
	hide_release(e);
	transcript_release(&e->log);
	provider_release(&e->p);
	message_release(&e->message);
	free(e->result_reason);
	free(e->again);
	session_release(&e->s);
	cleanup_close(&e->bell);
	cleanup_close(&e->signals);
	cleanup_close(&e->lock);
}

int
engine_run(struct state *st, const struct engine_run *run, int *ret_status,
	struct err *err)
{
	struct engine e = { .st = st, .run = run, .emitting = true,
		.lock = -1, .signals = -1, .bell = -1, .log = TRANSCRIPT_INIT,
		.s = SESSION_INIT, .p = PROVIDER_INIT, .keeper = CHILD_INIT,
		.env = MEMFILE_INIT, .netns = NETNS_INIT, .agent = CHILD_INIT,
		.out = -1, .err = -1, .err_file = -1, .line = BUF_INIT,
		.said = BUF_INIT, .in = BUF_INIT, .deadline = -1,
		.start_deadline = -1, .message = MESSAGE_INIT };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int rc;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	rc = take_over(&e, err);
	if (!rc) {
		live(&e);
		*ret_status = e.status;
		if (e.status)
			(void)err_set(err, ERR_SYS, "session '%s' %s: %s",
				e.s.id, session_state_name(e.to), e.reason);
	}
	release(&e);
	return rc;
}
