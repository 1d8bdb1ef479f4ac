#include "lib/vm/supervise_early.h"

#include <string.h>
#include <sys/socket.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/cgroup_vm.h"
#include "lib/vm/driver.h"
#include "lib/vm/lease.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

/* Others would have to be asked for their caps first. */
static bool
comes_with_forge(const char *driver)
{
	const char *known;
	size_t i;

	for (i = 0; (known = driver_known(i)); i++)
		if (!strcmp(known, driver))
			return true;
	return false;
}

static bool
is_for(const struct vm_spec *spec)
{
	struct err ignored = ERR_INIT;
	struct driver d;

	return comes_with_forge(spec->driver) && !vm_has_lease(spec) && !disks_any(&spec->disk) &&
		!driver_find(spec->driver, &d, &ignored) && !d.machine &&
		!d.elsewhere && !d.vsock && !d.qmp;
}

static int
begin(struct state *st, const struct vm_spec *spec, struct early *e,
	struct err *err)
{
	struct vm_fds fds;

	if (state_lock(st, "vm", spec->name, 0, 0, &e->lock, err) ||
		vm_cgroup_make(st, spec, &e->cgroup, err))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->channel) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->console))
		return err_sys(err, "cannot make a socket");
	fds = (struct vm_fds){ e->channel[1], e->console[1], -1, -1, -1, NULL,
		true };
	return driver_start(spec->driver, &fds, &e->cgroup.join, &e->driver,
		err);
}

void
early_begin(struct state *st, const struct vm_spec *spec, struct early *ret)
{
	struct err err = ERR_INIT;
	sigset_t all;

	if (!is_for(spec))
		return;
	(void)sigemptyset(&all);
	(void)sigaddset(&all, SIGTERM);
	(void)sigaddset(&all, SIGINT);
	(void)sigaddset(&all, SIGHUP);
	(void)sigaddset(&all, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &all, &ret->mask);
	ret->begun = true;
	if (!begin(st, spec, ret, &err))
		return;
	log_debug("vm.early", "name", spec->name, "error", err.msg, NULL);
	early_release(st, spec->name, ret);
}

void
early_release(struct state *st, const char *name, struct early *e)
{
	struct err err = ERR_INIT;
	struct proc_status status;
	bool made = e->cgroup.host.n > 0;
	int i;

	if (!e->begun)
		return;
	proc_kill(&e->driver, SIGKILL);
	if (e->driver.pid)
		(void)!proc_wait(&e->driver, -1, &status, &err);
	child_close(&e->driver);
	for (i = 0; i < 2; i++) {
		cleanup_close(&e->channel[i]);
		cleanup_close(&e->console[i]);
	}
	if (made && vm_cgroup_remove(st, name, &e->cgroup.host, &err))
		log_error("vm.cgroup", "name", name, "error", err.msg, NULL);
	cgroup_release(&e->cgroup);
	cleanup_close(&e->lock);
	(void)sigprocmask(SIG_SETMASK, &e->mask, NULL);
	*e = EARLY_INIT;
}
