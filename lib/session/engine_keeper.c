#include "lib/session/engine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/net/listen.h"
#include "lib/session/keeper.h"
#include "lib/session/place.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define ANSWER_MAX 1024
#define END_MS 60000 /* until a VM is gone, surely */
#define GRACE_MS 5000 /* of one that was not ready: there is nothing to lose */

/* Before its proxy listens, or its agent starts. */
static int
own_network(struct engine *e, struct err *err)
{
	return place_no_network(&e->s) && e->netns.net < 0 ?
		netns_open(&e->netns, err) :
		0;
}

/* In a VM the same port leads to it; in a network of its own it is there. */
int
engine_listen(struct engine *e, int *ret_fd, struct err *err)
{
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);

	if (own_network(e, err))
		return -1;
	if (e->netns.listen >= 0) {
		*ret_fd = steal_fd(&e->netns.listen);
		return 0;
	}
	if (listen_open("127.0.0.1:0", ret_fd, err))
		return -1;
	if (getsockname(*ret_fd, (struct sockaddr *)&a, &n))
		return err_sys(err, "cannot listen");
	e->api_port = ntohs(a.sin_port);
	return 0;
}

/* ---- what it answers ---- */

/* A signal is for us: it ends the session, once the files are back. */
static bool
heard_signal(struct engine *e)
{
	int sig = signals_next(e->signals);

	if (!sig)
		return false;
	engine_end(e, SESSION_STOPPED, EXIT_SIGNAL + sig, "stopped by SIG%s",
		sigabbrev_np(sig));
	return true;
}

/* "failed STATUS WHY" */
static int
failed(const char *line, struct err *err)
{
	char *why;
	long status = strtol(line, &why, 10);
	enum err_code code = ERR_PLACE;
	int i;

	for (i = ERR_NONE + 1; i < ERR_CODE__MAX; i++)
		if (err_status((enum err_code)i) == status) {
			code = (enum err_code)i;
			break;
		}
	return err_set(err, code, "%s", why + strspn(why, " "));
}

static int
understand(struct engine *e, const char *line, struct err *err)
{
	if (!strncmp(line, "failed ", 7))
		return failed(line + 7, err);
	if (!strncmp(line, "ready ", 6)) {
		free(e->vm);
		e->vm = xstrdup(line + 6);
	}
	return 0;
}

/*
 * One line.  impatient: a signal is no reason to wait any more, since there
 * is nothing to bring back yet.
 */
static int
answer(struct engine *e, bool impatient, struct err *err)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	char c;

	for (;;) {
		struct pollfd p[] = { { .fd = e->keeper.out,
					      .events = POLLIN },
			{ .fd = e->signals, .events = POLLIN } };
		ssize_t n;

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (p[1].revents && heard_signal(e) && impatient)
			return err_set(err, ERR_CANCELED, "stopped");
		if (!p[0].revents)
			continue;
		n = read(e->keeper.out, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, ERR_PLACE,
				"the keeper of its VM ended");
		if (c == '\n')
			return understand(e, line.s, err);
		if (line.len < ANSWER_MAX)
			buf_addc(&line, c);
	}
}

static int
tell(struct engine *e, const char *word, struct err *err)
{
	CLEANUP_FREE char *line = xasprintf("%s\n", word);

	/* One that is gone has said why, or is at its end there. */
	if (write_all(e->keeper.in, line, strlen(line)))
		log_debug("session.keeper", "id", e->s.id, NULL);
	return answer(e, false, err);
}

/* ---- its life ---- */

static int
spawn(struct engine *e, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_FREE char *program = NULL;

	if (find_program("forge-session", &program, err))
		return -1;
	argv_pushv(&p.argv, (const char *[]){ program, "keep", "-C",
				    state_path(e->st), NULL });
	argv_pushf(&p.argv, "--lock-fd=%d", e->lock);
	if (e->api_port)
		argv_pushf(&p.argv, "--port=%d", e->api_port);
	argv_push(&p.argv, e->s.id);
	argv_push(&p.env, "FORGE_SESSION"); /* it outlives us, for a while */
	p.in = p.out = PROC_PIPE;
	p.err = PROC_NULL;
	p.pass[p.npass++] = e->lock;
	p.new_session = p.new_group = true;
	return proc_spawn(&p, &e->keeper, err);
}

int
keeper_begin(struct engine *e, struct err *err)
{
	if (!place_is_vm(&e->s))
		return own_network(e, err);
	if (spawn(e, err))
		return -1;
	log_info("session.keeper", "id", e->s.id, "place", e->s.place, NULL);
	return answer(e, true, err);
}

int
keeper_turn(struct engine *e, struct err *err)
{
	return e->keeper.pid && e->vm ? tell(e, "turn", err) : 0;
}

int
keeper_command(struct engine *e, const struct argv *agent, struct proc *p,
	struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < p->env.n; i++)
		if (strchr(p->env.v[i], '='))
			buf_add(&b, p->env.v[i], strlen(p->env.v[i]) + 1);
	memfile_close(&e->env);
	if (memfile_open(&e->env, b.s, b.len, err))
		return -1;
	explicit_bzero(b.s, b.len);
	if (lseek(e->env.fd, 0, SEEK_SET))
		return err_sys(err, "cannot pass the environment on");
	argv_release(&p->env);
	argv_pushf(&p->env, "FORGE_SESSION=%s", e->s.id);
	p->pass[p->npass++] = e->env.fd;
	if (place_vm(e->st, &e->s, e->vm, e->env.fd, &p->argv, err))
		return -1;
	argv_pushv(&p->argv, (const char *const *)agent->v);
	return 0;
}

int
keeper_sync(struct engine *e, struct err *err)
{
	if (!e->keeper.pid || !e->vm || !e->unsynced)
		return 0;
	/* One that runs on may write on. */
	e->unsynced = e->agent.pid != 0;
	if (!tell(e, "sync", err))
		return 0;
	return err_wrap(err, "what the agent did in its place did not come "
		"back");
}

void
keeper_end(struct engine *e)
{
	struct proc_status status = { .timed_out = true };
	struct err err = ERR_INIT;

	if (!e->keeper.pid)
		return;
	(void)!write_all(e->keeper.in, "quit\n", 5); /* it may be gone */
	(void)close(steal_fd(&e->keeper.in)); /* a pipe */
	/* TERM would be another sync. */
	if (proc_wait(&e->keeper,
		    clock_mono() + (e->vm ? END_MS : GRACE_MS), &status,
		    &err) ||
		(status.timed_out && proc_stop(&e->keeper, 0, &status, &err)))
		log_warning("session.keeper", "id", e->s.id, "error", err.msg,
			NULL);
	child_close(&e->keeper);
	e->keeper = CHILD_INIT;
	free(steal_ptr(&e->vm));
}
