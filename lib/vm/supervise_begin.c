#include "lib/vm/supervise_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/state/state.h"
#include "lib/vm/cgroup_vm.h"
#include "lib/vm/image_config.h"
#include "lib/vm/supervise_early.h"
#include "lib/vm/usernet.h"
#include "lib/vm/vsock.h"
#include "lib/base/banned.h"

#define LOCK_WAIT 200 /* ms: who looks for the dead holds it an instant */

static int
directory_open(struct supervisor *s, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("vm/%s", s->boot->spec.name);

	if (fs_remove_tree(state_dir(s->st), path, err) ||
		fs_mkdirs(state_dir(s->st), path, 0700, err))
		return -1;
	s->dir = openat(state_dir(s->st), path,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(err, "cannot open '%s'", path);
	return image_config_link(s->dir, s->boot->spec.image,
		       s->image.manifest, err) ||
			console_open(&s->console, s->dir, err) ||
			clients_listen(s, err) ?
		-1 :
		0;
}

/* Its other end is what the driver inherits, unless the guest connects. */
static int
channel_open(struct supervisor *s, int *ret_theirs, struct err *err)
{
	int fds[2];

	if (driver_find(s->boot->spec.driver, &s->driver, err))
		return -1;
	if (s->driver.vsock) {
		if (vsock_listen(s->dir, fds, err))
			return -1;
		s->awaited = true;
	} else {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
			return err_sys(err, "cannot make a socket");
		*ret_theirs = fds[1];
	}
	conn_init(&s->channel, fds[0]);
	return 0;
}

/* No name on disk: who has no fd of it cannot talk to it. */
static int
monitor_open(struct supervisor *s, int *ret_theirs, struct err *err)
{
	int fds[2];

	if (!s->driver.qmp)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return err_sys(err, "cannot make a socket");
	qmp_init(&s->qmp, fds[0]);
	*ret_theirs = fds[1];
	return 0;
}

static int
booting(struct supervisor *s, struct err *err)
{
	CLEANUP_FREE char *identity = NULL;

	(void)fd_nonblock(s->hypervisor.err, true); /* a pipe */
	timings_lap(&s->timings, TIMING_FORK);
	if (proc_identity(s->hypervisor.pid, &identity, err))
		return -1;
	return vm_booting(s->db, s->boot->spec.name, identity, err);
}

static int
hypervisor_start(struct supervisor *s, struct err *err)
{
	CLEANUP_JSON struct json *spec = NULL;
	CLEANUP_CLOSE int channel = -1, console = -1, net = -1, monitor = -1;
	struct vm_fds list;
	int fds[2];

	if (channel_open(s, &channel, err))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return err_sys(err, "cannot make a socket");
	s->console_fd = fds[0];
	console = fds[1];
	if (usernet_mode(s->boot->spec.net) &&
		usernet_start(s->boot->spec.net, &s->address, &s->subnet, &net,
			&s->usernet, err))
		return -1;
	if (net_up(s->st, &s->boot->spec, &s->address, &s->subnet, s->lock,
		    &s->net, err) ||
		monitor_open(s, &monitor, err))
		return -1;
	timings_lap(&s->timings, TIMING_TAP);
	list = (struct vm_fds){ channel, console, net < 0 ? s->net.fd : net,
		monitor, -1, NULL, false };
	if (snapshot_prepare(s, &list, err))
		return -1;
	if (driver_spec(s->st, &s->boot->spec, &s->image, &s->address,
		    &s->subnet, &list, &spec, err) ||
		vm_cgroup_make(s->st, &s->boot->spec, &s->cgroup, err) ||
		driver_start(s->boot->spec.driver, &list, &s->cgroup.join,
			&s->hypervisor, err) ||
		driver_tell(&s->hypervisor, spec, err))
		return -1;
	cleanup_close(&monitor); /* so that its end is seen */
	monitor = -1;
	return booting(s, err);
}

/*
 * What waits for it boots while we write its row: no command is run, and
 * nothing is made that outlives us, before that is there.
 */
static int
early_take(struct supervisor *s, struct err *err)
{
	CLEANUP_JSON struct json *spec = NULL;
	struct early *e = s->boot->early;
	const struct vm_fds list = { e->channel[1], e->console[1], -1, -1, -1,
		NULL, true };
	int rc;

	if (driver_find(s->boot->spec.driver, &s->driver, err) ||
		driver_spec(s->st, &s->boot->spec, &s->image, &s->address,
			&s->subnet, &list, &spec, err))
		return -1;
	s->cgroup = e->cgroup;
	e->cgroup = CGROUP_INIT;
	s->hypervisor = e->driver;
	e->driver = CHILD_INIT;
	conn_init(&s->channel, steal_fd(&e->channel[0]));
	s->console_fd = steal_fd(&e->console[0]);
	rc = driver_tell(&s->hypervisor, spec, err);
	(void)close(steal_fd(&e->channel[1])); /* the driver's */
	(void)close(steal_fd(&e->console[1]));
	e->begun = false; /* nothing of it is left */
	return rc;
}

static int
make_disks(struct supervisor *s, struct err *err)
{
	const struct vm_spec *spec = &s->boot->spec;
	CLEANUP_FREE char *dir = xasprintf("%s/vm/%s", state_path(s->st),
		spec->name);

	return disks_any(&spec->disk) ?
		disks_make(&spec->disk, dir, spec->name, err) :
		0;
}

static int
lock(struct supervisor *s, struct err *err)
{
	const char *name = s->boot->spec.name;
	struct early *e = s->boot->early;

	if (e && e->lock >= 0) {
		s->lock = steal_fd(&e->lock);
		return 0;
	}
	if (!state_lock(s->st, "vm", name, 0, LOCK_WAIT, &s->lock, err))
		return 0;
	if (err->code != ERR_BUSY)
		return -1;
	return err_set(err, ERR_EXISTS, "a VM named '%s' runs", name);
}

int
supervisor_begin(struct supervisor *s, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT,
		SIGUSR1, SIGUSR2, SIGWINCH, 0 };
	const struct vm_spec *spec = &s->boot->spec;
	bool early = s->boot->early && s->boot->early->begun;

	if (state_db(s->st, &s->db, err) ||
		subnet_load(s->st, &s->subnet, err) ||
		image_open(s->st, spec->image, &s->image, err) ||
		/* once per image, and no part of any boot's time */
		driver_prepare(s->st, spec->driver, &s->image, err) ||
		lock(s, err))
		return -1;
	if (signals_open(signals, &s->signals, err) ||
		(early && early_take(s, err)) ||
		vm_create(s->st, spec, &s->address, err))
		return -1;
	s->row = true;
	s->clients = xcalloc(CLIENTS, sizeof(*s->clients));
	s->started = clock_mono();
	s->deadline = s->started + s->boot->boot_timeout;
	timings_lap(&s->timings, TIMING_LEASE);
	if (directory_open(s, err) || make_disks(s, err))
		return -1;
	timings_lap(&s->timings, TIMING_CLONE);
	if (early)
		return booting(s, err);
	return hypervisor_start(s, err) || snapshot_restore(s, err) ? -1 : 0;
}
