#include "lib/runner/garm_place.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/runner/garm_call.h"
#include "lib/runner/garm_sweep.h"
#include "lib/runner/github.h"
#include "lib/runner/instance.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { LINE_MAX_BYTES = 65536, DEBOUNCE = 100 /* ms */,
	ASK_GITHUB = 5 /* times as far apart as looks at the instance */ };
static const int64_t token_ms = INT64_C(24) * 3600 * 1000;

enum step {
	STEP_BOOTING, /* nothing has been heard of it */
	STEP_ASKED, /* for the configuration */
	STEP_RUNNING,
	STEP_OVER, /* the supervisor was told, and may keep it */
	STEP_GONE, /* or is to be deleted */
};

struct place_run {
	struct state *st;
	struct db *db;
	const struct garm_run *run;
	struct garm g;
	struct github *gh; /* NULL: somebody else registers it */
	char *pool; /* its id */
	char *id; /* the provider's; or NULL */
	pid_t parent;
	int signals, watch;
	enum step step;
	struct buf in;
	bool in_over; /* stdin */
	bool left; /* goes on without us */
	int64_t look_at; /* mono, at the instance */
	int looks;
	int status;
	struct err err;
};

static const char *
handle(const struct place_run *p)
{
	return p->id ? p->id : p->run->name;
}

/* ---- what the supervisor hears ---- */

static void
say(struct place_run *p, const char *what)
{
	CLEANUP_FREE char *line = xasprintf("%s%s%s\n", p->run->mark,
		*what ? " " : "", what);

	if (write_all(STDOUT_FILENO, line, strlen(line)))
		p->step = STEP_GONE; /* nobody reads any more */
}

/* The runner has ended, or never was one. */
static void
over(struct place_run *p, int status)
{
	p->status = status;
	if (p->step != STEP_RUNNING) {
		p->step = STEP_GONE;
		return;
	}
	p->step = STEP_OVER;
	say(p, status ? "1" : "0");
}

static void __attribute__((format(printf, 1, 2)))
complain(const char *fmt, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	fprintf(stderr, "forge-garm: %s\n", text);
}

/* ---- the instance ---- */

static int
create(struct place_run *p, struct err *err)
{
	CLEANUP_FREE char *token = NULL, *text = NULL;
	CLEANUP_JSON struct json *boot = NULL;
	CLEANUP_BUF struct buf in = BUF_INIT, out = BUF_INIT;
	CLEANUP_INSTANCE struct garm_instance i = GARM_INSTANCE_INIT;
	struct garm_ask ask = { .command = "CreateInstance", .pool = p->pool,
		.in = &in, .cancel = 1 + p->signals };

	if (instance_intend(p->db, p->run->name, p->g.name, p->pool, token_ms,
		    &token, err) ||
		garm_bootstrap(p->st, &p->g, p->run, p->pool, token, &boot,
			err))
		return -1;
	text = json_text(boot);
	buf_adds(&in, text);
	explicit_bzero(text, strlen(text));
	explicit_bzero(token, strlen(token));
	if (garm_call(&p->g, &ask, &out, err))
		return -1;
	if (garm_instance(&out, &i, err))
		return err_wrap(err, "garm '%s': CreateInstance", p->g.name);
	if (instance_created(p->db, p->run->name, &i, err))
		return -1;
	p->id = xstrdup(i.id);
	return strcmp(i.status, "error") ? 0 :
		err_set(err, ERR_PLACE, "garm '%s': CreateInstance: %.200s",
			p->g.name, i.fault ? i.fault : "status error");
}

/* One that an earlier process of ours made. */
static int
find(struct place_run *p, struct err *err)
{
	CLEANUP_ROW struct instance row = INSTANCE_INIT;

	if (instance_get(p->db, p->run->name, &row, err) ||
		(!row.provider_id &&
			garm_find(p->db, &p->g, &row, err)))
		return -1;
	p->id = xstrdup_null(row.provider_id);
	p->step = STEP_RUNNING;
	return 0;
}

/*
 * A signal to our group can hit a provider that is not out of it yet: twice,
 * then.  What did not arrive stays as a row, and garm_sweep() tries again.
 */
static void
delete(struct place_run *p)
{
	struct err err = ERR_INIT, again = ERR_INIT;

	if ((garm_delete(&p->g, p->pool, handle(p), &again) &&
		    garm_delete(&p->g, p->pool, handle(p), &err)) ||
		instance_removed(p->st, p->run->name, &err))
		complain("%s; 'forge-runner sync' tries again", err.msg);
}

/* One of that name that was there already is another's. */
static void
undo(struct place_run *p, enum err_code why)
{
	struct err err = ERR_INIT;

	if (why != ERR_EXISTS)
		delete(p);
	else if (instance_removed(p->st, p->run->name, &err))
		complain("%s", err.msg);
}

/* ---- has it ended? ---- */

/* It is deleted at GitHub when its job has ended. */
static bool
unknown_at_github(struct place_run *p, const struct instance *row)
{
	struct github_runner at;
	struct err err = ERR_INIT;

	return p->gh && row->github_id &&
		github_runner_get(p->gh, p->run->scope, row->github_id, &at,
			&err) &&
		err.code == ERR_NOTFOUND;
}

static void
look_at_instance(struct place_run *p, const struct instance *row)
{
	CLEANUP_INSTANCE struct garm_instance i = GARM_INSTANCE_INIT;
	struct err err = ERR_INIT;
	bool busy = row->state && !strcmp(row->state, "busy");

	p->look_at = clock_mono() + p->g.poll;
	if (garm_get(&p->g, p->pool, handle(p), &i, &err)) {
		if (err.code != ERR_NOTFOUND)
			return; /* not known now */
		complain("the instance is gone at the provider");
		over(p, 1);
	} else if (!strcmp(i.status, "error")) {
		complain("the instance failed: %s",
			i.fault ? i.fault : "status error");
		over(p, 1);
	} else if (!strcmp(i.status, "stopped")) {
		complain("the instance has stopped");
		over(p, busy || p->step != STEP_RUNNING);
	} else if (p->step == STEP_RUNNING && ++p->looks % ASK_GITHUB == 0 &&
		unknown_at_github(p, row)) {
		over(p, 0);
	}
}

static void
look(struct place_run *p)
{
	CLEANUP_ROW struct instance row = INSTANCE_INIT;
	struct err err = ERR_INIT;
	bool busy;

	if (p->step > STEP_RUNNING)
		return;
	if (instance_get(p->db, p->run->name, &row, &err)) {
		if (err.code == ERR_NOTFOUND)
			over(p, 1); /* somebody took it away */
		p->look_at = clock_mono() + p->g.poll;
		return;
	}
	busy = row.state && strcmp(row.state, "busy") == 0;
	if (p->step == STEP_BOOTING && row.called) {
		p->step = STEP_ASKED;
		say(p, "");
	} else if (row.over) {
		over(p, 0);
	} else if (row.status && !strcmp(row.status, "failed") && !busy) {
		complain("the instance says: %s", row.message);
		over(p, 1);
	} else if (clock_mono() >= p->look_at) {
		look_at_instance(p, &row);
	}
}

/* ---- what the supervisor says ---- */

static void
take_line(struct place_run *p, const char *line)
{
	if (p->step == STEP_ASKED) {
		p->step = STEP_RUNNING;
		if (instance_hand(p->st, p->run->name, line, &p->err)) {
			complain("%s", p->err.msg);
			over(p, 1);
		}
	} else if (p->step == STEP_OVER && !strcmp(line, "diag")) {
		say(p, ".");
	}
}

/* Its end while a runner runs is the supervisor's: a signal tells more. */
static void
read_stdin(struct place_run *p)
{
	ssize_t n = buf_read_some(&p->in, STDIN_FILENO, LINE_MAX_BYTES);
	char *newline;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		p->in_over = true;
		if (p->step != STEP_RUNNING)
			p->step = STEP_GONE;
		return;
	}
	while ((newline = memchr(p->in.s, '\n', p->in.len))) {
		size_t len = (size_t)(newline - p->in.s);

		*newline = '\0';
		take_line(p, p->in.s);
		explicit_bzero(p->in.s, len);
		buf_consume(&p->in, len + 1);
	}
}

static void
read_signals(struct place_run *p)
{
	int sig;

	while ((sig = signals_next(p->signals))) {
		if (p->step == STEP_RUNNING && getppid() != p->parent) {
			p->left = true;
			return;
		}
		if (p->step != STEP_OVER)
			p->status = EXIT_SIGNAL + sig;
		p->step = STEP_GONE;
	}
}

/* ---- life ---- */

static int
step(struct place_run *p, struct err *err)
{
	struct pollfd fds[] = { { .fd = p->signals, .events = POLLIN },
		{ .fd = p->in_over ? -1 : STDIN_FILENO, .events = POLLIN },
		{ .fd = p->watch, .events = POLLIN } };
	int64_t until = p->step > STEP_RUNNING ? -1 : p->look_at;

	if (poll(fds, ARRAY_SIZE(fds), until < 0 ? -1 : clock_left(until)) < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (fds[0].revents)
		read_signals(p);
	if (fds[1].revents && p->step < STEP_GONE)
		read_stdin(p);
	if (fds[2].revents) {
		/* Others write often: a few of their commits at once. */
		fds[2].fd = -1;
		if (poll(fds, ARRAY_SIZE(fds), DEBOUNCE) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		event_watch_clear(p->watch);
	}
	if (!p->left)
		look(p);
	return 0;
}

static int
begin(struct place_run *p, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, 0 };
	struct err why = ERR_INIT;

	if (garm_load(p->st, p->run->on, &p->g, err) ||
		state_db(p->st, &p->db, err) ||
		signals_open(signals, &p->signals, err) ||
		event_watch_open(p->st, &p->watch, err))
		return -1;
	p->pool = garm_pool_id(&p->g, p->run->pool);
	p->look_at = clock_mono() + p->g.poll;
	if (!github_open(p->st, p->run->github, &p->gh, &why))
		github_set_background(p->gh);
	return 0;
}

static int
life(struct place_run *p, struct err *err)
{
	if (p->run->adopt ? find(p, err) : create(p, err)) {
		p->status = EXIT_PLACE;
		if (!p->run->adopt)
			undo(p, err->code);
		return -1;
	}
	look(p);
	while (p->step != STEP_GONE && !p->left)
		if (step(p, err)) {
			p->step = STEP_GONE;
			p->status = EXIT_FAILED;
		}
	if (!p->left)
		delete(p);
	return err->code ? -1 : 0;
}

int
garm_run(struct state *st, const struct garm_run *run, int *ret_status,
	struct err *err)
{
	struct place_run p = { .st = st, .run = run, .g = GARM_INIT,
		.signals = -1, .watch = -1, .parent = getppid(),
		.in = BUF_INIT, .status = EXIT_PLACE, .err = ERR_INIT };
	int rc = begin(&p, err) || life(&p, err) ? -1 : 0;

	*ret_status = p.status;
	github_close(p.gh);
	garm_release(&p.g);
	free(p.pool);
	free(p.id);
	buf_release(&p.in);
	cleanup_close(&p.signals);
	cleanup_close(&p.watch);
	return rc;
}
