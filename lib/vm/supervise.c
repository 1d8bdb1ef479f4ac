#include "lib/vm/supervise.h"
#include "lib/vm/supervise_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/signals.h"
#include "lib/vm/cgroup_vm.h"
#include "lib/vm/image_config.h"
#include "lib/vm/usernet.h"
#include "lib/vm/vsock.h"
#include "lib/base/banned.h"

#define STOP_GRACE 10000 /* ms from TERM to KILL inside the guest */
#define STOP_EXTRA 5000 /* ms more for the power-off itself */
#define SAID_MAX 16384

/* ---- ending ---- */

void
kill_hypervisor(struct supervisor *s)
{
	proc_kill(&s->hypervisor, SIGKILL);
	cgroup_kill(&s->cgroup);
}

void
supervisor_fail(struct supervisor *s, enum err_code code, const char *fmt, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list ap;

	if (s->err.code)
		return; /* the first reason is the one to tell */
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	(void)err_set(&s->err, code, "%s", text);
	kill_hypervisor(s);
}

void
supervisor_stop(struct supervisor *s, uint32_t grace_ms)
{
	unsigned char p[4];
	struct frame f = { .type = CHANNEL_SHUTDOWN, .length = sizeof(p),
		.payload = p };
	struct err err = ERR_INIT;

	if (s->stopping || !s->ready || !grace_ms) {
		s->stopping = true;
		kill_hypervisor(s);
		return;
	}
	if (s->paused && supervisor_resume(s, &err)) {
		s->stopping = true;
		kill_hypervisor(s); /* it cannot even stop */
		return;
	}
	s->stopping = true;
	if (vm_stopping(s->db, s->boot->spec.name, &err))
		log_warning("vm.stopping", "name", s->boot->spec.name, "error",
			err.msg, NULL);
	if (grace_ms > 600000)
		grace_ms = 600000;
	s->grace = grace_ms;
	frame_put32(p, grace_ms);
	conn_send(&s->channel, &f);
	s->deadline = clock_mono() + grace_ms + STOP_EXTRA;
}

/* The guest's agent did not do it: a last chance for what else hears there. */
static bool
press_button(struct supervisor *s)
{
	struct err err = ERR_INIT;

	if (!s->driver.stop || s->driver.elsewhere || !s->grace || s->pressed)
		return false;
	s->pressed = true;
	if (driver_stop(s->st, &s->driver, s->boot->spec.name, 0, &err)) {
		log_warning("vm.stop", "name", s->boot->spec.name, "error",
			err.msg, NULL);
		return false;
	}
	s->deadline = clock_mono() + STOP_EXTRA;
	return true;
}

/* ---- the rest of what can happen ---- */

/* false: there is nothing more now. */
static bool
read_said(struct supervisor *s)
{
	ssize_t n;

	if (s->said.len >= SAID_MAX)
		buf_consume(&s->said, s->said.len / 2);
	n = buf_read_some(&s->said, s->hypervisor.err, SAID_MAX);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		cleanup_close(&s->hypervisor.err);
		s->hypervisor.err = -1;
	}
	return n > 0;
}

static void
on_end(struct supervisor *s)
{
	struct proc_status status;
	const char *last;

	s->ended = true;
	if (proc_wait(&s->hypervisor, -1, &status, &s->err))
		return;
	/* Its last words, and what the guest still said. */
	while (s->hypervisor.err >= 0 && s->said.len < SAID_MAX / 2 &&
		read_said(s))
		;
	if (s->channel.fd >= 0)
		guest_read(s);
	console_end(s);
	if (s->stopping || s->err.code || (s->exec_open && s->exec.done))
		return;
	if (vm_cgroup_oom(s->st, s->boot->spec.name)) {
		(void)err_set(&s->err, ERR_PLACE,
			"the host killed it: it used more than its memory "
			"(--memory)");
		return;
	}
	buf_rtrim(&s->said);
	last = strrchr(s->said.s, '\n');
	last = last ? last + 1 : s->said.s;
	(void)err_set(&s->err, ERR_PLACE,
		"the hypervisor ended with status %d%s%.300s",
		proc_exit_status(&status), *last ? ": " : "", last);
}

/* Without its network a VM is not what was asked for.  It also ends because
 * the hypervisor did, which is then what is told. */
static void
on_usernet(struct supervisor *s)
{
	struct pollfd end = { .fd = s->hypervisor.pidfd, .events = POLLIN };
	struct err err = ERR_INIT;

	usernet_ended(&s->usernet, &err);
	child_close(&s->usernet);
	s->usernet = CHILD_INIT;
	if (!s->stopping && poll(&end, 1, 100) == 0)
		supervisor_fail(s, err.code, "the network: %s", err.msg);
}

/* Ours before the command is there, the command's afterwards. */
static void
on_signal(struct supervisor *s, int sig)
{
	if (sig == SIGWINCH && (!s->exec_open || !s->exec.sent))
		return;
	if (s->life.command == LIFE_DONE) { /* held, and nothing else of it is left */
		supervisor_stop(s, 0);
		return;
	}
	if (!s->exec_open || !s->exec.sent) {
		s->signal = s->boot->exec ? sig : 0;
		supervisor_stop(s, s->boot->exec ? 0 : STOP_GRACE);
		return;
	}
	exec_client_signal(&s->exec, sig);
	if ((sig == SIGTERM || sig == SIGINT || sig == SIGHUP) && !s->signal) {
		s->signal = sig;
		s->deadline = clock_mono() + STOP_GRACE;
	}
}

static void
read_signals(struct supervisor *s)
{
	int sig;

	while ((sig = signals_next(s->signals)))
		on_signal(s, sig);
}

static void
on_deadline(struct supervisor *s)
{
	char text[16];

	s->deadline = -1;
	if (s->lost) {
		supervisor_fail(s, ERR_PLACE,
			"the guest went away: it was reset, or its agent "
			"died");
	} else if (s->stopping || s->signal) {
		s->stopping = true;
		if (!press_button(s))
			kill_hypervisor(s);
	} else if (!s->ready) {
		supervisor_fail(s, ERR_PLACE,
			"the guest was not ready within %s (--boot-timeout)",
			format_duration(s->boot->boot_timeout, text,
				sizeof(text)));
	} else if (s->life.command == LIFE_ON) {
		s->life.command = LIFE_LATE;
	}
}

/* ---- the loop ---- */

enum { FD_SIGNALS, FD_CHANNEL, FD_CONSOLE, FD_SAID, FD_END, FD_NET,
	FD_LISTEN,
	FD_CLIENTS, FD_EXEC = FD_CLIENTS + CLIENTS,
	FD__MAX = FD_EXEC + EXEC_CLIENT_FDS };

static void
collect(struct supervisor *s, struct pollfd *fds)
{
	bool hear = !conn_full(&s->channel);
	int i;

	for (i = 0; i < FD__MAX; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	fds[FD_SIGNALS].fd = s->signals;
	fds[FD_CHANNEL].fd = s->channel.fd;
	fds[FD_CHANNEL].events = conn_events(&s->channel);
	fds[FD_CONSOLE].events = console_events(s);
	fds[FD_CONSOLE].fd = fds[FD_CONSOLE].events ? s->console_fd : -1;
	fds[FD_SAID].fd = s->hypervisor.err;
	fds[FD_END].fd = s->hypervisor.pidfd;
	fds[FD_NET].fd = s->usernet.pidfd;
	fds[FD_LISTEN].fd = s->listener;
	for (i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (!c->used)
			continue;
		fds[FD_CLIENTS + i].fd = c->conn.fd;
		fds[FD_CLIENTS + i].events = (short)(conn_events(&c->conn) &
			(hear && !c->waiting && !conn_full(&c->conn) ?
					~0 :
					~POLLIN));
	}
	if (s->exec_open)
		(void)exec_client_fds(&s->exec, fds + FD_EXEC);
}

static void
step_clients(struct supervisor *s, const struct pollfd *fds)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && fds[FD_CLIENTS + i].fd >= 0 &&
			fds[FD_CLIENTS + i].revents &
				(POLLIN | POLLHUP | POLLERR))
			clients_read(s, i);
	if (fds[FD_LISTEN].revents)
		clients_accept(s);
}

static void
step_exec(struct supervisor *s, const struct pollfd *fds)
{
	struct err err = ERR_INIT;

	if (!s->exec_open || s->exec.done)
		return;
	if (fds[FD_EXEC].fd < 0) /* opened in this very step */
		return;
	if (exec_client_step(&s->exec, fds + FD_EXEC, &err))
		supervisor_fail(s, err.code, "%s", err.msg);
	else if (s->exec.done)
		s->life.command = LIFE_DONE;
}

static int
next_timeout(const struct supervisor *s)
{
	int a = clock_left(s->deadline), b = clock_left(s->console_stuck);
	int c = clock_left(life_at(s));

	if (a < 0 || (b >= 0 && b < a))
		a = b;
	return a < 0 || (c >= 0 && c < a) ? c : a;
}

static int
step(struct supervisor *s, struct err *err)
{
	struct pollfd fds[FD__MAX];

	collect(s, fds);
	if (poll(fds, FD__MAX, next_timeout(s)) < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (fds[FD_SIGNALS].revents)
		read_signals(s);
	if (fds[FD_CHANNEL].revents & (POLLIN | POLLHUP | POLLERR))
		guest_read(s);
	if (fds[FD_CONSOLE].revents & POLLOUT)
		console_type(s);
	if (fds[FD_CONSOLE].revents & (POLLIN | POLLHUP | POLLERR))
		console_read(s);
	if (fds[FD_SAID].revents)
		(void)read_said(s); /* the rest when poll says so again */
	step_clients(s, fds);
	step_exec(s, fds);
	if (s->channel.fd >= 0 && conn_flush(&s->channel))
		conn_release(&s->channel);
	console_unstick(s);
	clients_flush(s);
	if (fds[FD_NET].revents)
		on_usernet(s);
	if (fds[FD_END].revents)
		on_end(s);
	else if (s->deadline >= 0 && !clock_left(s->deadline))
		on_deadline(s);
	else
		life_step(s);
	return 0;
}

/* ---- the end ---- */

/* Of a kept VM the log stays; of any other nothing. */
static int
remove_files(struct supervisor *s, struct err *err)
{
	static const char *const files[] = { "ctl.sock", "api.sock",
		VSOCK_FILE, VSOCK_FILE CHANNEL_VSOCK_SUFFIX,
		"firecracker.json", VM_IMAGE, VM_DEFAULTS };
	size_t i;

	if (!s->boot->spec.keep)
		return vm_remove_files(s->st, s->boot->spec.name, err);
	for (i = 0; s->dir >= 0 && i < ARRAY_SIZE(files); i++)
		(void)unlinkat(s->dir, files[i], 0); /* it may not be there */
	return 0;
}

/*
 * Elsewhere our end of the channel is over, the machine is not: what else runs
 * in its guest may end as it likes, when there is time for that.
 */
static void
stop_elsewhere(struct supervisor *s)
{
	const char *name = s->boot->spec.name;
	struct err err = ERR_INIT;

	if (s->driver.elsewhere && s->driver.stop && s->grace &&
		driver_stop(s->st, &s->driver, name, s->grace, &err))
		log_warning("vm.stop", "name", name, "error", err.msg, "hint",
			"it is destroyed as it is", NULL);
}

static void
finish(struct supervisor *s)
{
	struct err err = ERR_INIT;
	struct proc_status status;
	const char *name = s->boot->spec.name;
	bool crashed = s->err.code != ERR_NONE;

	proc_kill(&s->hypervisor, SIGKILL);
	if (s->hypervisor.pid && proc_wait(&s->hypervisor, -1, &status, &err))
		log_error("vm.wait", "name", name, "error", err.msg, NULL);
	proc_kill(&s->usernet, SIGKILL);
	if (s->usernet.pid && proc_wait(&s->usernet, -1, &status, &err))
		log_error("vm.wait", "name", name, "error", err.msg, NULL);
	if (!s->row) {
		if (s->cgroup.host.n &&
			vm_cgroup_remove(s->st, name, &s->cgroup.host, &err))
			log_error("vm.cgroup", "name", name, "error", err.msg,
				NULL);
		return;
	}
	stop_elsewhere(s);
	if (driver_destroy(s->st, s->boot->spec.driver, name, &err)) {
		/* The row stays as it is: who repairs tries again. */
		log_error("vm.destroy", "name", name, "error", err.msg, "hint",
			"forge-vm fsck tries again", NULL);
		return;
	}
	if (net_down(&s->net, &err))
		log_error("vm.net", "name", name, "error", err.msg, "hint",
			"forge-vm fsck puts it in order", NULL);
	if (remove_files(s, &err))
		log_error("vm.files", "name", name, "error", err.msg, NULL);
	/* Last, since the killed take a moment. */
	if (vm_cgroup_remove(s->st, name, &s->cgroup.host, &err))
		log_error("vm.cgroup", "name", name, "error", err.msg, NULL);
	if (vm_ended(s->db, name, crashed,
		    crashed ? err_status(s->err.code) : s->exec.status,
		    crashed ? s->err.msg : s->life.reason, &err))
		log_error("vm.ended", "name", name, "error", err.msg, "hint",
			"forge-vm fsck puts it in order", NULL);
}

static void
release(struct supervisor *s)
{
	if (s->exec_open)
		exec_client_close(&s->exec);
	clients_release(s);
	conn_release(&s->channel);
	child_close(&s->hypervisor);
	child_close(&s->usernet);
	qmp_release(&s->qmp);
	snapshot_release(&s->snapshot);
	json_free(s->how);
	cleanup_close(&s->memory);
	cgroup_release(&s->cgroup);
	net_release(&s->net);
	console_close(&s->console);
	cleanup_close(&s->console_fd);
	cleanup_close(&s->signals);
	cleanup_close(&s->dir);
	buf_release(&s->said);
	image_release(&s->image);
	cleanup_close(&s->lock);
}

static int
answer(struct supervisor *s, int *ret_status, struct err *err)
{
	if (s->err.code) {
		*err = s->err;
		return -1;
	}
	*ret_status = 0;
	if (!s->boot->exec)
		return 0;
	if (s->exec.done) {
		*ret_status = s->exec.status;
		if (s->exec.why[0])
			(void)err_set(err, ERR_SYS, "%s", s->exec.why);
		return 0;
	}
	*ret_status = EXIT_SIGNAL + (s->signal ? s->signal : SIGKILL);
	return 0;
}

int
supervise(struct state *st, const struct vm_boot *boot, int *ret_status,
	struct err *err)
{
	struct supervisor *s = xcalloc(1, sizeof(*s));
	int rc;

	s->st = st;
	s->boot = boot;
	s->lock = s->dir = s->console.fd = s->console_fd = s->signals =
			s->listener = s->channel.fd = -1;
	s->console_stuck = -1;
	s->channel.out = s->said = s->typed = BUF_INIT;
	s->image = IMAGE_INIT;
	s->hypervisor = s->usernet = CHILD_INIT;
	s->cgroup = CGROUP_INIT;
	s->life = LIFE_INIT;
	s->net = NET_INIT;
	s->qmp = QMP_INIT;
	timings_begin(&s->timings);
	s->snapshot = SNAPSHOT_INIT;
	s->memory = s->taker = s->owner = -1;
	s->err = ERR_INIT;
	if (!supervisor_begin(s, &s->err))
		while (!s->ended && !step(s, &s->err))
			;
	finish(s);
	rc = answer(s, ret_status, err);
	if (boot->timings)
		*boot->timings = s->timings;
	release(s);
	free(s);
	return rc;
}
