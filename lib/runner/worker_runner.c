#include "lib/runner/worker_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/runner.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define JIT_MAX 60000 /* fits a pipe, so writing it never waits */
#define SAID_MAX 4096

enum {
	STARTED = CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_STARTED,
	COMPLETED =
		CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_COMPLETED,
	FAILED = CIRUNNER__AGENT__RUNNER_EVENT_TYPE__RUNNER_EVENT_TYPE_FAILED,
};

int
far_count(const struct worker *w)
{
	const struct far *f;
	int n = 0;

	for (f = w->runners; f; f = f->next)
		n++;
	return n;
}

static struct far *
find(struct worker *w, const char *name)
{
	struct far *f;

	for (f = w->runners; f; f = f->next)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

static struct far *
add(struct worker *w, const char *name, const char *pool,
	enum far_state state)
{
	struct far *f = xcalloc(1, sizeof(*f));

	f->w = w;
	f->name = xstrdup(name);
	f->pool = xstrdup_null(pool);
	f->state = state;
	f->child = CHILD_INIT;
	f->next = w->runners;
	w->runners = f;
	return f;
}

static void
drop(struct far *f)
{
	struct far **at = &f->w->runners;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	loop_del(f->w->loop, &f->ended);
	child_close(&f->child);
	cleanup_close(&f->child.pidfd);
	free(f->name);
	free(f->pool);
	free(f);
}

void
far_free_all(struct worker *w)
{
	while (w->runners)
		drop(w->runners); /* the processes go on */
}

/* ---- which pool ---- */

static int
in_pool(const struct worker *w, const char *pool)
{
	const struct far *f;
	int n = 0;

	for (f = w->runners; f; f = f->next)
		n += f->pool && !strcmp(f->pool, pool);
	return n;
}

static bool
has(const struct argv *set, const char *label)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (!strcasecmp(set->v[i], label))
			return true;
	return false;
}

static bool
serves(const struct pool *p, char **labels, size_t n)
{
	size_t i, k;

	for (i = 0; i < p->nsets; i++) {
		for (k = 0; k < n && has(&p->sets[i], labels[k]); k++)
			;
		if (k == n)
			return true;
	}
	return false;
}

static int
choose(const struct worker *w, char **labels, size_t n, const char **ret,
	struct err *err)
{
	bool full = false;
	size_t i;

	if (far_count(w) >= w->max)
		return err_set(err, ERR_LIMIT,
			"Capacity exceeded: max %d VMs", (int)w->max);
	for (i = 0; i < w->pools.n; i++) {
		const struct pool *p = &w->pools.v[i];

		if (!serves(p, labels, n))
			continue;
		if (in_pool(w, p->name) < p->max) {
			*ret = p->name;
			return 0;
		}
		full = true;
	}
	return err_set(err, ERR_LIMIT, full ?
			"Capacity exceeded: the pools with these labels are "
			"full" :
			"no pool of this host serves these labels");
}

/* ---- the process ---- */

/* Its last line, when it failed before its log was open. */
static char *
last_words(struct far *f)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	char *line;

	if (f->child.err < 0 || fd_nonblock(f->child.err, true))
		return NULL;
	while (buf_read_some(&said, f->child.err, SAID_MAX) > 0)
		;
	buf_rtrim(&said);
	line = strrchr(said.s, '\n');
	line = xstrdup(line ? line + 1 : said.s);
	err_clean(line);
	return line;
}

static void
on_ended(struct loop_fd *l, uint32_t events)
{
	struct far *f = CONTAINER(l, struct far, ended);
	struct worker *w = f->w;
	CLEANUP_FREE char *why = NULL;
	struct proc_status s = { .value = 1 };
	struct err err = ERR_INIT;

	(void)events;
	loop_del(w->loop, l);
	if (proc_wait(&f->child, -1, &s, &err))
		log_warning("runner.wait", "error", err.msg, NULL);
	if (proc_exit_status(&s))
		why = last_words(f);
	log_info("runner.ended", "name", f->name, NULL);
	stream_tell(w, f->name, proc_exit_status(&s) ? FAILED : COMPLETED,
		why);
	drop(f);
	stream_status(w);
}

static int
command_line(struct worker *w, const char *name, const char *pool, int fd,
	struct proc *p, struct err *err)
{
	CLEANUP_FREE char *program = NULL;

	if (find_program("forge-runner", &program, err))
		return -1;
	argv_push(&p->argv, program);
	argv_push(&p->argv, "run");
	argv_pushf(&p->argv, "--state=%s", state_path(w->st));
	argv_pushf(&p->argv, "--pool=%s", pool);
	argv_pushf(&p->argv, "--name=%s", name);
	argv_pushf(&p->argv, "--jit-fd=%d", fd);
	p->pass[p->npass++] = fd;
	p->in = PROC_NULL;
	p->out = PROC_NULL;
	p->err = PROC_PIPE;
	p->new_session = true;
	return 0;
}

static int
spawn(struct worker *w, const char *name, const char *pool, const char *jit,
	struct child *ret, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int rfd = -1, wfd = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	rfd = fds[0];
	wfd = fds[1];
	if (write_all(wfd, jit, strlen(jit)))
		return err_sys(err, "cannot hand the configuration over");
	if (command_line(w, name, pool, rfd, &p, err))
		return -1;
	return proc_spawn(&p, ret, err);
}

int
far_create(struct worker *w, const char *name, char **labels, size_t n,
	const char *jit, struct err *err)
{
	struct child child = CHILD_INIT;
	const char *pool = NULL;
	struct far *f;

	if (parse_name(name, "vm_name", err))
		return -1;
	if (find(w, name))
		return 0; /* told twice, made once */
	if (strlen(jit) > JIT_MAX)
		return err_set(err, ERR_LIMIT,
			"the JIT configuration is too large");
	if (choose(w, labels, n, &pool, err) ||
		spawn(w, name, pool, jit, &child, err))
		return -1;
	f = add(w, name, pool, FAR_CREATING);
	f->child = child;
	f->ended.fd = child.pidfd;
	f->ended.ready = on_ended;
	return loop_add(w->loop, &f->ended, EPOLLIN, err);
}

void
far_destroy(struct worker *w, const char *name)
{
	struct far *f = find(w, name);
	CLEANUP_RUNNER struct runner row = RUNNER_INIT;
	struct err err = ERR_INIT;
	pid_t pid;

	if (!f)
		return;
	f->state = FAR_STOPPING;
	pid = f->child.pid;
	if (!pid && !runner_get(w->db, name, &row, &err) && row.supervisor)
		pid = proc_find(row.supervisor);
	if (pid && kill(pid, SIGTERM))
		log_warning("runner.stop", "name", name, NULL);
	stream_status(w);
}

/* ---- what the state says ---- */

static int
adopt_row(struct json *row, void *arg)
{
	CLEANUP_JSON struct json *own = row;
	const char *name = json_str(own, "name", "");
	const char *state = json_str(own, "state", "");
	struct worker *w = arg;
	struct err err = ERR_INIT;

	/* Dead ones are `forge-runner sync`'s. */
	if (state_locked(w->st, "runner", name, &err) != 1)
		return 0;
	add(w, name, json_str(own, "pool", NULL),
		!strcmp(state, "idle") || !strcmp(state, "busy") ?
			FAR_RUNNING :
			!strcmp(state, "ending") || !strcmp(state, "held") ?
			FAR_STOPPING :
			FAR_CREATING);
	log_info("runner.adopted", "name", name, NULL);
	return 0;
}

int
far_adopt(struct worker *w, struct err *err)
{
	if (event_last(w->db, &w->seen, err))
		return -1;
	return runner_each(w->db, false, adopt_row, w, err);
}

static void
adopted_done(struct far *f, const struct json *event)
{
	static const char *const bad[] = { "error", "lost", "abandoned" };
	const char *result = json_str(event, "data.result", "");
	struct worker *w = f->w;
	int type = COMPLETED;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (!strcmp(result, bad[i]))
			type = FAILED;
	stream_tell(w, f->name, type, json_str(event, "data.reason", NULL));
	drop(f);
	stream_status(w);
}

static int
on_event(struct json *event, void *arg)
{
	CLEANUP_JSON struct json *own = event;
	const char *kind = json_str(own, "kind", "");
	struct worker *w = arg;
	struct far *f = strncmp(kind, "runner.", 7) != 0 ? NULL :
		find(w, json_str(own, "subject", ""));

	if (!f)
		return 0;
	if (!strcmp(kind, "runner.registered")) {
		f->state = FAR_RUNNING;
		stream_tell(w, f->name, STARTED, NULL);
		stream_status(w);
	} else if (!strcmp(kind, "runner.ending")) {
		f->state = FAR_STOPPING;
		stream_status(w);
	} else if (!strcmp(kind, "runner.done") && !f->child.pid) {
		adopted_done(f, own);
	}
	return 0;
}

void
far_look(struct worker *w)
{
	struct err err = ERR_INIT;

	if (event_each(w->db, &w->seen, on_event, w, &err))
		log_warning("agent.events", "error", err.msg, NULL);
}
