#include "lib/vm/browser.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/signals.h"
#include "lib/state/state.h"
#include "lib/vm/image_config.h"
#include "lib/base/banned.h"

#define ANSWER_MAX 65536
#define ASK_AGAIN 200 /* ms */
#define GRACE 5000 /* ms for a child to end */

struct browser {
	struct state *st;
	const struct browser_spec *spec;
	int signals;
	struct child forward, exec;
	char *program, *address;
	struct json *answer;
	int64_t deadline; /* monotonic ms */
};

/* ---- children ---- */

static void
begin_child(struct browser *b, struct proc *p, const char *verb)
{
	argv_push(&p->argv, b->program);
	argv_push(&p->argv, verb);
	argv_pushf(&p->argv, "--state=%s", state_path(b->st));
	p->in = PROC_NULL;
	p->parent_death = SIGTERM;
	/* a terminal's signals are for us, who end them in order */
	p->new_group = true;
}

static int
start_forward(struct browser *b, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	begin_child(b, &p, "forward");
	argv_push(&p.argv, b->spec->vm);
	argv_pushf(&p.argv, "%s:%d", b->spec->listen ? b->spec->listen : "0",
		BROWSER_PORT);
	p.out = PROC_PIPE;
	return proc_spawn(&p, &b->forward, err);
}

static int
start_browser(struct browser *b, struct err *err)
{
	CLEANUP_IMAGE_CONFIG struct image_config c = IMAGE_CONFIG_INIT;
	CLEANUP_ARGV struct argv command = ARGV_INIT;
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (image_config_of_vm(b->st, b->spec->vm, &c, err))
		return -1;
	if (!c.entrypoint.n && !c.cmd.n)
		return err_set(err, ERR_NOTFOUND,
			"VM '%s': nothing answers at port %d, and its image "
			"has no command that could be started",
			b->spec->vm, BROWSER_PORT);
	image_config_command(&c, &command);
	begin_child(b, &p, "exec");
	argv_push(&p.argv, b->spec->vm);
	argv_push(&p.argv, "--");
	argv_pushv(&p.argv, (const char *const *)command.v);
	p.out = PROC_NULL;
	p.err = PROC_NULL;
	return proc_spawn(&p, &b->exec, err);
}

/* Does one of our children, or a signal, end it?  At most ms. */
static int
pause_for(struct browser *b, int ms, bool *ret_signal, struct err *err)
{
	struct pollfd fds[] = { { .fd = b->signals, .events = POLLIN },
		{ .fd = b->forward.pidfd, .events = POLLIN },
		{ .fd = b->exec.pid ? b->exec.pidfd : -1, .events = POLLIN } };

	*ret_signal = false;
	if (poll(fds, ARRAY_SIZE(fds), ms) < 0)
		return err_sys(err, "poll");
	if (fds[0].revents && signals_next(b->signals)) {
		*ret_signal = true;
		return 0;
	}
	if (fds[1].revents)
		return err_set(err, ERR_PLACE,
			"VM '%s': it cannot be reached any more",
			b->spec->vm);
	return fds[2].revents ? err_set(err, ERR_PLACE,
		"VM '%s': its browser ended", b->spec->vm) : 0;
}

/* The line that `forge-vm forward` prints when it listens. */
static int
read_address(struct browser *b, struct err *err)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	struct proc_status status;
	ssize_t n;

	do {
		struct pollfd fd = { .fd = b->forward.out, .events = POLLIN };

		/* over is over, however fast it was */
		if (!clock_left(b->deadline) ||
			poll(&fd, 1, clock_left(b->deadline)) <= 0)
			return err_set(err, ERR_TIMEOUT,
				"VM '%s': no forward", b->spec->vm);
		n = buf_read_some(&line, b->forward.out, 256);
	} while (n > 0 && !strchr(line.s, '\n'));
	buf_rtrim(&line);
	if (n <= 0) {
		if (proc_wait(&b->forward, b->deadline, &status, err))
			return -1;
		b->forward.pid = 0;
		/* it has said why */
		return err_set(err, proc_exit_status(&status) ==
				EXIT_NOTFOUND ? ERR_NOTFOUND : ERR_PLACE,
			"VM '%s' cannot be reached", b->spec->vm);
	}
	b->address = buf_detach(&line);
	return 0;
}

/* ---- asking it ---- */

/* The way to it is by our address, whatever it says of its own. */
static int
rewrite(struct browser *b, const struct json *said, struct err *err)
{
	const char *url = json_str(said, "webSocketDebuggerUrl", "");
	const char *path = strncmp(url, "ws://", 5) ? NULL :
						      strchr(url + 5, '/');
	const char *p;

	for (p = path; p && *p; p++)
		if (!isgraph((unsigned char)*p))
			path = NULL;
	if (!path)
		return err_set(err, ERR_INVALID,
			"VM '%s': what answers at port %d tells of no "
			"WebSocket", b->spec->vm, BROWSER_PORT);
	CLEANUP_FREE char *ours = xasprintf("ws://%s%s", b->address, path);
	b->answer = json_object();
	json_put_str(b->answer, "url", ours);
	json_put_str(b->answer, "address", b->address);
	json_put_str(b->answer, "browser", json_str(said, "Browser", NULL));
	return 0;
}

/* By curl's program: the library would cost every start of ours 5 ms. */
static int
fetch(const char *url, struct buf *ret, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	argv_pushv(&p.argv, (const char *[]){ "curl", "-q", "-s", "--max-time",
			      "5", "--noproxy", "*", "-w", "\\n%{http_code}",
			      url, NULL });
	return proc_run(&p, NULL, ret, ANSWER_MAX, 10000, err);
}

/* 1 it answered, 0 not yet. */
static int
ask(struct browser *b, const char *url, struct err *err)
{
	CLEANUP_BUF struct buf answer = BUF_INIT;
	CLEANUP_JSON struct json *said = NULL;
	struct err later = ERR_INIT;
	const char *status;

	if (fetch(url, &answer, &later)) {
		if (later.code != ERR_NOTFOUND)
			return 0;
		*err = later; /* no curl */
		return -1;
	}
	status = strrchr(answer.s, '\n');
	if (!status || strcmp(status, "\n200") != 0)
		return err_set(err, ERR_INVALID,
			"VM '%s': port %d answers with status %.3s",
			b->spec->vm, BROWSER_PORT, status ? status + 1 : "?");
	if (json_parse(answer.s, (size_t)(status - answer.s), &said, err))
		return err_wrap(err, "VM '%s': port %d", b->spec->vm,
			BROWSER_PORT);
	return rewrite(b, said, err) ? -1 : 1;
}

static int
ask_until(struct browser *b, struct err *err)
{
	CLEANUP_FREE char *url = xasprintf("http://%s/json/version",
		b->address);
	bool signal;
	int rc;

	while (!(rc = ask(b, url, err))) {
		if (!b->exec.pid && start_browser(b, err))
			return -1;
		if (pause_for(b, ASK_AGAIN, &signal, err))
			return -1;
		if (signal)
			return err_set(err, ERR_CANCELED, "interrupted");
		if (!clock_left(b->deadline))
			return err_set(err, ERR_TIMEOUT,
				"VM '%s': its browser does not answer "
				"(--timeout)", b->spec->vm);
	}
	return rc < 0 ? -1 : 0;
}

/* ---- all of it ---- */

static int
begin(struct browser *b, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };

	if (find_program("forge-vm", &b->program, err) ||
		signals_open(signals, &b->signals, err) ||
		start_forward(b, err) || read_address(b, err))
		return -1;
	return ask_until(b, err);
}

int
browser_open(struct state *st, const struct browser_spec *spec,
	struct browser **ret, struct err *err)
{
	struct browser *b = xcalloc(1, sizeof(*b));

	b->st = st;
	b->spec = spec;
	b->signals = -1;
	b->forward = b->exec = CHILD_INIT;
	b->deadline = clock_mono() + spec->timeout;
	if (begin(b, err)) {
		browser_close(b);
		return -1;
	}
	*ret = b;
	return 0;
}

const struct json *
browser_answer(const struct browser *b)
{
	return b->answer;
}

int
browser_wait(struct browser *b, struct err *err)
{
	bool signal = false;

	while (!signal)
		if (pause_for(b, -1, &signal, err))
			return -1;
	return 0;
}

void
browser_close(struct browser *b)
{
	struct proc_status status;
	struct err none = ERR_INIT;

	if (proc_stop(&b->exec, GRACE, &status, &none) ||
		proc_stop(&b->forward, GRACE, &status, &none))
		log_debug("browser.stop", "vm", b->spec->vm, "error",
			none.msg, NULL);
	child_close(&b->exec);
	child_close(&b->forward);
	cleanup_close(&b->signals);
	free(b->program);
	free(b->address);
	json_free(b->answer);
	free(b);
}
