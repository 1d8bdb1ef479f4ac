#include "lib/session/keeper_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define BOOT_MS (10 * 60000) /* forge-vm itself gives up much earlier */
#define END_MS 20000
#define SAID_MAX 65536

static int
forge_vm(const struct keeper *k, const char *verb, struct proc *p,
	struct err *err)
{
	CLEANUP_FREE char *program = NULL;

	if (find_program("forge-vm", &program, err))
		return -1;
	argv_pushv(&p->argv, (const char *[]){ program, verb, "-C",
				     state_path(k->st), NULL });
	argv_push(&p->env, "FORGE_SESSION"); /* none of the agent's own */
	return 0;
}

/* ---- the VM ---- */

/* The last line that it said. */
static void
last_line(int fd, struct buf *ret)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	struct err none = ERR_INIT;
	const char *line;

	(void)!fd_nonblock(fd, true);
	(void)!buf_read_fd(&said, fd, SAID_MAX, "stderr", &none);
	buf_rtrim(&said);
	line = said.len ? strrchr(said.s, '\n') : NULL;
	buf_adds(ret, line ? line + 1 : said.len ? said.s : "");
}

int
keeper_gone(struct keeper *k, struct err *err)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	struct proc_status status;
	struct err none = ERR_INIT;

	if (proc_wait(&k->machine, clock_mono() + END_MS, &status, &none))
		return err_set(err, ERR_SYS, "VM '%s': %s", k->vm, none.msg);
	if (k->machine.err >= 0)
		last_line(k->machine.err, &said);
	child_close(&k->machine);
	k->machine = CHILD_INIT;
	return err_set(err, ERR_PLACE, "VM '%s' ended%s%s", k->vm,
		said.len ? ": " : "", said.len ? said.s : "");
}

/* One line from fd, or the end of the machine, or of our supervisor. */
static int
wait_line(struct keeper *k, int fd, struct err *err)
{
	CLEANUP_BUF struct buf got = BUF_INIT;
	int64_t deadline = clock_mono() + BOOT_MS;
	char c;

	for (;;) {
		struct pollfd p[] = { { .fd = fd, .events = POLLIN },
			{ .fd = k->machine.pidfd, .events = POLLIN },
			{ .fd = k->run->in, .events = POLLIN } };
		ssize_t n;

		if (poll(p, ARRAY_SIZE(p), clock_left(deadline)) < 0 &&
			errno != EINTR)
			return err_sys(err, "poll");
		if (p[2].revents)
			return err_set(err, ERR_CANCELED,
				"ended before VM '%s' was ready", k->vm);
		if (!p[0].revents && p[1].revents)
			return keeper_gone(k, err);
		if (!p[0].revents && clock_left(deadline))
			continue;
		n = p[0].revents ? read(fd, &c, 1) : 0;
		if (n == 1 && c == '\n')
			return 0;
		if (n != 1) /* its end says why, in a moment */
			return p[0].revents ? keeper_gone(k, err) :
				err_set(err, ERR_TIMEOUT,
					"VM '%s' does not get ready", k->vm);
		buf_addc(&got, c);
	}
}

/* What of the network it has: the channel needs none. */
static void
push_net(const struct keeper *k, struct argv *ret)
{
	const char *egress = json_str(k->s.options, PLACE_EGRESS, "none");

	if (!strcmp(egress, "none"))
		argv_push(ret, "--net=none");
	else if (strcmp(egress, "all") != 0) { /* all is its default */
		argv_push(ret, "--net=tap");
		argv_pushf(ret, "--egress=%s%s",
			strncmp(egress, "allow=", 6) ? "allow=" : "", egress);
	}
}

static int
push_size(const struct keeper *k, struct argv *ret, struct err *err)
{
	struct config *c;
	int64_t memory, cpus;

	if (state_config(k->st, &c, err) ||
		config_size(c, "session", NULL, "vm-memory", 1 << 30, &memory,
			err) ||
		config_int(c, "session", NULL, "vm-cpus", 1, &cpus, err))
		return -1;
	argv_pushf(ret, "--memory=%" PRId64, memory);
	argv_pushf(ret, "--cpus=%" PRId64, cpus);
	return 0;
}

int
keeper_boot(struct keeper *k, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_FREE char *random = random_name(4);
	const char *image = k->s.place + strlen(PLACE_VM);
	CLEANUP_CLOSE int up = -1, notify = -1;
	int fds[2];

	if (parse_name(image, "image", err))
		return -1;
	k->vm = xasprintf("session-%.32s-%s", k->s.id, random);
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	up = fds[0];
	notify = fds[1];
	if (forge_vm(k, "run", &p, err))
		return -1;
	argv_pushf(&p.argv, "--name=%s", k->vm);
	argv_pushf(&p.argv, "--image=%s", image);
	push_net(k, &p.argv);
	if (push_size(k, &p.argv, err))
		return -1;
	argv_pushf(&p.argv, "--notify-fd=%d", notify);
	/* It lives as long as somebody holds the other end of its stdin. */
	argv_pushv(&p.argv, (const char *[]){ "--", "cat", NULL });
	p.in = p.err = PROC_PIPE;
	p.out = PROC_NULL;
	p.pass[p.npass++] = notify;
	p.new_group = true;
	p.parent_death = SIGTERM;
	if (proc_spawn(&p, &k->machine, err))
		return -1;
	cleanup_close(&notify);
	notify = -1;
	return wait_line(k, up, err);
}

int
keeper_forward(struct keeper *k, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (!k->run->port)
		return 0;
	if (forge_vm(k, "forward", &p, err))
		return -1;
	argv_pushf(&p.argv, "--reverse=%d", k->run->port);
	argv_push(&p.argv, k->vm);
	p.in = PROC_NULL;
	p.out = PROC_PIPE;
	p.new_group = true;
	p.parent_death = SIGTERM;
	return proc_spawn(&p, &k->forward, err) ||
			wait_line(k, k->forward.out, err) ?
		-1 :
		0;
}

void
keeper_destroy(struct keeper *k)
{
	struct proc_status status;
	struct err none = ERR_INIT;

	if (k->forward.pid)
		(void)!proc_stop(&k->forward, END_MS, &status, &none);
	child_close(&k->forward);
	k->forward = CHILD_INIT;
	if (k->machine.in >= 0)
		(void)close(steal_fd(&k->machine.in)); /* a pipe */
	if (k->machine.pid)
		(void)!proc_stop(&k->machine, END_MS, &status, &none);
	child_close(&k->machine);
	k->machine = CHILD_INIT;
}

/* ---- in it ---- */

int
keeper_exec(const struct keeper *k, bool root, const char *script,
	const char *const *words, struct buf *out, size_t max, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (forge_vm(k, "exec", &p, err))
		return -1;
	if (root)
		argv_push(&p.argv, "--user=0");
	argv_pushv(&p.argv, (const char *[]){ k->vm, "--", "sh", "-c", script,
				    "sh", NULL });
	argv_pushv(&p.argv, words);
	return proc_run(&p, NULL, out, max, KEEPER_EXEC_MS, err);
}

/*
 * Sockets and the like are nobody's work: cp leaves them out, and says so by
 * its status.
 */
static bool
only_left_out(const struct err *err)
{
	return strstr(err->msg, "entries were left out") != NULL;
}

static int
copy(const struct keeper *k, struct proc *p, struct err *err)
{
	if (!proc_run(p, NULL, NULL, 0, KEEPER_CP_MS, err))
		return 0;
	if (!only_left_out(err))
		return err_wrap(err, "VM '%s'", k->vm);
	*err = ERR_INIT;
	return 0;
}

int
keeper_put(const struct keeper *k, const char *from, const char *to,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (forge_vm(k, "cp", &p, err))
		return -1;
	argv_pushf(&p.argv, "--user=%s", k->user);
	argv_pushf(&p.argv, "%s/.", from);
	argv_pushf(&p.argv, "%s:%s", k->vm, to);
	return copy(k, &p, err);
}

int
keeper_get(const struct keeper *k, const char *from, const char *to,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (forge_vm(k, "cp", &p, err))
		return -1;
	argv_pushf(&p.argv, "--user=%s", k->user);
	argv_pushf(&p.argv, "--max-size=%" PRId64, k->max);
	argv_pushf(&p.argv, "%s:%s/.", k->vm, from);
	argv_push(&p.argv, to);
	return copy(k, &p, err);
}
