#include "lib/session/engine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/session/place.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/session/worktree.h"
#include "lib/base/banned.h"

#define LINE_MAX_BYTES (8u << 20) /* of an agent that speaks JSON */
#define TEXT_MAX_BYTES 65536 /* of one that prints text: cut there */
#define GARBAGE_MAX 100 /* lines in a row that are no JSON */
#define READ_MAX 262144 /* bytes, before others have their turn */
#define ERRORS_MAX (1 << 20) /* bytes of stderr that are kept */
#define DRAIN_MAX 64 /* times READ_MAX, after its end */
#define SAID_MAX 400

/* ---- start ---- */

/* "session" or "user": whose HOME it has. */
static bool
own_home(const struct engine *e)
{
	struct config *c;
	struct err err = ERR_INIT;
	const char *home = provider_key(&e->p, "home");

	if (!state_config(e->st, &c, &err))
		home = config_str(c, "provider", e->p.name, "home", home);
	return !home || strcmp(home, "user") != 0;
}

static void
list_of(const struct json *options, const char *key, struct argv *ret)
{
	CLEANUP_JSON struct json *list = json_get(options, key);
	size_t i, n = list ? json_len(list, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *word = json_at(list, i);

		argv_push(ret, json_str(word, "", ""));
	}
}

/* NAME=VALUE as it is, NAME from our environment. */
static void
add_env(const struct engine *e, struct argv *ret)
{
	CLEANUP_ARGV struct argv env = ARGV_INIT;
	size_t i;

	list_of(e->s.options, "env", &env);
	for (i = 0; i < env.n; i++) {
		const char *value = getenv(env.v[i]);

		if (strchr(env.v[i], '='))
			argv_push(ret, env.v[i]);
		else if (value)
			argv_pushf(ret, "%s=%s", env.v[i], value);
	}
}

static int
make_home(struct engine *e, char **ret, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("session/%s/home", e->s.id);

	if (fs_mkdirs(state_dir(e->st), dir, 0700, err))
		return -1;
	*ret = xasprintf("%s/%s", state_path(e->st), dir);
	return 0;
}

static int
fill_proc(struct engine *e, struct proc *p, struct err *err)
{
	const char *path = getenv("PATH");
	CLEANUP_ARGV struct argv command = ARGV_INIT, args = ARGV_INIT,
		env = ARGV_INIT, agent = ARGV_INIT;
	CLEANUP_FREE char *home = NULL;
	struct provider_words w = { .session = e->s.agent_session,
		.model = e->s.model, .dir = e->s.dir, .id = e->s.id,
		.prompt = e->p.prompt.n ? e->message.text : NULL,
		.command = &command, .args = &args };

	list_of(e->s.options, "command", &command);
	hooks_env(e, &env, &args);
	list_of(e->s.options, "args", &args);
	if (make_home(e, &home, err))
		return -1;
	w.home = home;
	if (provider_argv(&e->p, &w, e->s.agent_session != NULL, &agent,
		    err) ||
		(e->netns.net >= 0 && netns_prefix(&e->netns, p, err)) ||
		(!e->vm && session_place(e->st, &e->s, home, agent.v[0],
				   &p->argv, err)))
		return -1;
	if (!e->vm)
		argv_pushv(&p->argv, (const char *const *)agent.v);
	if (place_clean(&e->s) && !e->vm) {
		p->clear_env = true;
		argv_pushf(&p->env, "PATH=%s", path ? path : "/usr/bin:/bin");
	}
	if (own_home(e) || place_clean(&e->s))
		argv_pushf(&p->env, "HOME=%s", home);
	argv_pushf(&p->env, "FORGE_SESSION=%s", e->s.id);
	if (worktree_env(e->st, &e->s, &p->env, err))
		return -1;
	provider_env(&e->p, &w, &p->env);
	argv_pushv(&p->env, (const char *const *)env.v);
	add_env(e, &p->env);
	hide_env(e, &p->env);
	return e->vm ? keeper_command(e, &agent, p, err) : 0;
}

/* Our ends do not block; the agent's do, as programs expect it. */
static int
make_pipe(int *ours, int *its, bool we_read, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	*ours = fds[we_read ? 0 : 1];
	*its = fds[we_read ? 1 : 0];
	return fd_nonblock(*ours, true) ? err_sys(err, "cannot use a pipe") :
					  0;
}

static int
spawn(struct engine *e, struct proc *p, struct err *err)
{
	CLEANUP_CLOSE int in = -1, out = -1, errors = -1, to = -1;
	CLEANUP_CLOSE int dir = open(e->s.dir,
		O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(err, "cannot work in '%s'", e->s.dir);
	if (make_pipe(&to, &in, false, err) ||
		make_pipe(&e->out, &out, true, err) ||
		make_pipe(&e->err, &errors, true, err))
		return -1;
	p->in = in;
	p->out = out;
	p->err = errors;
	p->dirfd = dir;
	p->new_group = true;
	p->parent_death = SIGTERM;
	if (proc_spawn(p, &e->agent, err))
		return -1;
	e->agent.in = steal_fd(&to);
	return 0;
}

static void
begin_process(struct engine *e)
{
	buf_reset(&e->line);
	buf_reset(&e->in);
	buf_reset(&e->said);
	e->in_ends = e->heard = e->told_term = false;
	e->garbage = 0;
	e->base = (struct session_usage){ .cost_microusd = e->s.cost_microusd,
		.tokens_in = e->s.tokens_in, .tokens_out = e->s.tokens_out };
	e->start_deadline = e->p.start_timeout ?
		clock_mono() + e->p.start_timeout :
		-1;
}

/* The agent starts while libjq does: that takes both about as long. */
int
agent_start(struct engine *e, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	struct json *data;

	begin_process(e);
	if (fill_proc(e, &p, err) || spawn(e, &p, err))
		return -1;
	e->unsynced = true;
	log_info("session.agent", "id", e->s.id, "program", p.argv.v[0], NULL);
	if (!e->tr &&
		translator_new(e->p.name, e->p.out, e->p.in, &e->tr, err))
		return -1;
	translator_reset(e->tr);
	data = json_object();
	json_put_str(data, "dir", e->s.dir);
	json_put_str(data, "session", e->s.agent_session);
	json_put_str(data, "model", e->s.model);
	json_put_num(data, "cost_usd", (double)e->s.cost_microusd / 1e6);
	return agent_tell(e, "start", data, NULL, err);
}

/* ---- to it ---- */

void
agent_write(struct engine *e)
{
	while (e->in.len && e->agent.in >= 0) {
		ssize_t n = write(e->agent.in, e->in.s, e->in.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) /* it reads no more: its end will tell why */
			n = (ssize_t)e->in.len;
		buf_consume(&e->in, (size_t)n);
	}
	if (e->in_ends && e->agent.in >= 0)
		(void)close(steal_fd(&e->agent.in)); /* a pipe */
}

int
agent_send(const char *line, size_t n, void *engine, struct err *err)
{
	struct engine *e = engine;

	(void)err;
	buf_add(&e->in, line, n);
	agent_write(e);
	return 0;
}

void
agent_close_stdin(struct engine *e)
{
	e->in_ends = true;
	agent_write(e);
}

int
agent_tell(struct engine *e, const char *kind, struct json *data,
	bool *ret_sent, struct err *err)
{
	const struct translated to = { .event = event_take,
		.send = agent_send, .arg = e };

	if (e->agent.pid)
		return translate_in(e->tr, kind, data, &to, ret_sent, err);
	json_free(data);
	if (ret_sent)
		*ret_sent = false;
	return 0;
}

/* ---- from it ---- */

static int
take_line(struct engine *e, const char *line, size_t n, struct err *err)
{
	const struct translated to = { .event = event_take,
		.send = agent_send, .arg = e };
	CLEANUP_BUF struct buf clean = BUF_INIT;
	bool garbage;

	if (hide_line(e, line, n, &clean)) {
		line = clean.s;
		n = clean.len;
	}
	if (n && line[n - 1] == '\r')
		n--;
	if (!n && e->p.out)
		return 0;
	if (translate_out(e->tr, line, n, &to, &garbage, err))
		return -1;
	if (e->phase == PHASE_TURN && turn_taken(e, err))
		return -1;
	e->garbage = garbage ? e->garbage + 1 : 0;
	if (e->garbage <= GARBAGE_MAX)
		return 0;
	return err_set(err, ERR_INVALID,
		"the agent prints no JSON: %d lines in a row, the last '%.*s'",
		e->garbage, n < 80 ? (int)n : 80, line);
}

static int
take_lines(struct engine *e, struct err *err)
{
	size_t max = e->p.out ? LINE_MAX_BYTES : TEXT_MAX_BYTES, pos = 0;
	const char *newline;
	int rc = 0;

	while (!rc && e->phase != PHASE_OVER &&
		(newline = memchr(e->line.s + pos, '\n', e->line.len - pos))) {
		rc = take_line(e, e->line.s + pos,
			(size_t)(newline - e->line.s) - pos, err);
		pos = (size_t)(newline + 1 - e->line.s);
	}
	buf_consume(&e->line, pos);
	if (rc || e->line.len < max)
		return rc;
	if (e->p.out)
		return err_set(err, ERR_LIMIT,
			"the agent prints a line of more than %u MiB",
			LINE_MAX_BYTES >> 20);
	rc = take_line(e, e->line.s, e->line.len, err);
	buf_reset(&e->line);
	return rc;
}

static void
lines(struct engine *e)
{
	struct err err = ERR_INIT;

	if (take_lines(e, &err))
		engine_fail(e, &err);
}

bool
agent_read(struct engine *e)
{
	char chunk[65536];
	size_t got = 0;
	ssize_t n = 1;

	while (e->out >= 0 && got < READ_MAX) {
		n = read(e->out, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
		e->heard = true;
		e->start_deadline = -1;
		buf_add(&e->line, chunk, (size_t)n);
		lines(e);
	}
	if (!n || (n < 0 && errno != EAGAIN))
		(void)close(steal_fd(&e->out)); /* read only */
	return got > 0;
}

/* The last line of it is the reason when the agent fails. */
static void
remember(struct engine *e, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (e->said.len && e->said.s[e->said.len - 1] == '\n' &&
			s[i] != '\n')
			buf_reset(&e->said);
		if (e->said.len < SAID_MAX && (e->said.len || s[i] != '\n'))
			buf_addc(&e->said, s[i] ? s[i] : '?');
		else if (s[i] == '\n' && e->said.len)
			e->said.s[e->said.len - 1] = '\n';
	}
}

static void
keep_errors(struct engine *e, const char *s, size_t n)
{
	CLEANUP_FREE char *path = xasprintf("session/%s/stderr", e->s.id);

	if (e->err_file < 0) {
		e->err_file = openat(state_dir(e->st), path,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
			0600);
		/* Earlier supervisors may have filled it. */
		e->err_kept = lseek(e->err_file, 0, SEEK_END);
		if (e->err_kept < 0 || e->err_kept > ERRORS_MAX)
			e->err_kept = ERRORS_MAX;
	}
	if (n > (size_t)(ERRORS_MAX - e->err_kept))
		n = (size_t)(ERRORS_MAX - e->err_kept);
	e->err_kept += (int64_t)n;
	if (e->err_file >= 0 && write_all(e->err_file, s, n))
		e->err_kept = ERRORS_MAX; /* the disk is full: no more */
}

/* NULL: no more comes. */
static void
hear_errors(struct engine *e, const char *s, size_t n)
{
	CLEANUP_BUF struct buf clean = BUF_INIT;

	if (hide_errors(e, s, n, &clean)) {
		s = clean.s;
		n = clean.len;
	}
	if (n) {
		keep_errors(e, s, n);
		remember(e, s, n);
	}
}

void
agent_hear_errors(struct engine *e)
{
	char chunk[16384];
	ssize_t n = 1;
	int i;

	for (i = 0; e->err >= 0 && i < 16; i++) {
		n = read(e->err, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		hear_errors(e, chunk, (size_t)n);
	}
	if (n <= 0 && (!n || (errno != EAGAIN && errno != EINTR)))
		hear_errors(e, NULL, 0);
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		(void)close(steal_fd(&e->err)); /* read only */
}

/* ---- its end ---- */

static void
describe(struct engine *e, const struct proc_status *status,
	struct buf *ret)
{
	buf_rtrim(&e->said);
	if (status->signaled)
		buf_addf(ret, "the agent was killed by signal %d (%s)",
			status->value, sigdescr_np(status->value));
	else
		buf_addf(ret, "the agent ended with status %d",
			status->value);
	if (e->said.len)
		buf_addf(ret, ": %s", e->said.s);
	err_clean(ret->s);
}

/* What it wrote before its end and we have not read; others may hold the
 * pipes, so this waits for nothing. */
static void
drain(struct engine *e)
{
	int i;

	for (i = 0; i < DRAIN_MAX && agent_read(e); i++)
		;
	agent_hear_errors(e);
	if (e->line.len && e->phase != PHASE_OVER) {
		buf_addc(&e->line, '\n');
		lines(e);
	}
}

void
agent_release(struct engine *e)
{
	child_close(&e->agent);
	e->agent = CHILD_INIT;
	cleanup_close(&e->out);
	cleanup_close(&e->err);
	e->out = e->err = -1;
	e->start_deadline = -1;
	e->told_term = false;
}

static void
told(struct engine *e, const struct proc_status *status)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	bool ok = !status->signaled && !status->value;

	describe(e, status, &why);
	if (e->phase != PHASE_TURN) {
		log_info("session.agent", "id", e->s.id, "ended", why.s, NULL);
		return;
	}
	if (!e->result && e->interrupted)
		turn_result(e, false, "interrupted");
	else if (!e->result && e->p.per_turn && ok)
		turn_result(e, true, NULL);
	else if (!e->result && e->p.per_turn)
		turn_result(e, false, why.s);
	if (e->phase == PHASE_TURN && e->result)
		turn_over(e);
	else if (e->phase == PHASE_TURN)
		engine_end(e, SESSION_FAILED, EXIT_FAILED,
			"%s, without a result", why.s);
}

void
agent_ended(struct engine *e)
{
	struct proc_status status;
	struct err err = ERR_INIT;

	/* What it left behind in its group goes with it. */
	proc_kill(&e->agent, SIGKILL);
	drain(e);
	if (proc_wait(&e->agent, -1, &status, &err)) {
		engine_fail(e, &err);
		status = (struct proc_status){ .value = EXIT_FAILED };
	}
	agent_release(e);
	e->unsynced = true;
	told(e, &status);
}
