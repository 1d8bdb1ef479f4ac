#include "lib/vm/supervise_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/vm/usernet.h"
#include "lib/base/banned.h"

#define MIGRATE_WAIT 20000 /* ms; it takes 10, of a slow disk more */

int
snapshot_prepare(struct supervisor *s, struct vm_fds *fds, struct err *err)
{
	if (s->boot->snapshot) {
		if (snapshot_open(s->st, s->boot->snapshot, &s->snapshot, err))
			return -1;
		fds->snapshot = s->snapshot.memory;
		return 0;
	}
	if (!s->driver.qmp)
		return 0;
	s->memory = memfd_create("forge-memory", MFD_CLOEXEC);
	if (s->memory < 0 || ftruncate(s->memory, s->boot->spec.memory))
		return err_sys(err, "cannot make the guest's memory");
	fds->memory = s->memory;
	return 0;
}

/* ---- restore ---- */

static int
check_version(struct supervisor *s, int64_t deadline, struct err *err)
{
	const char *was = json_str(s->snapshot.about, "hypervisor", "");

	if (qmp_greet(&s->qmp, deadline, err))
		return -1;
	if (!strcmp(was, s->qmp.version))
		return 0;
	return err_set(err, ERR_INVALID,
		"snapshot '%s' was made by version %.20s of the hypervisor, "
		"this is %s: make it again", s->boot->snapshot, was,
		s->qmp.version);
}

int
snapshot_restore(struct supervisor *s, struct err *err)
{
	int64_t deadline = clock_mono() + MIGRATE_WAIT;

	if (!s->boot->snapshot)
		return 0;
	if (check_version(s, deadline, err) ||
		qmp_migrate(&s->qmp, "migrate-incoming", s->snapshot.state,
			deadline, err))
		return -1;
	/* It waits in the port before the guest's first instruction. */
	s->configured = true;
	send_config(s, CHANNEL_IDENTITY);
	(void)conn_flush(&s->channel); /* what is left goes with the loop */
	return qmp_command(&s->qmp, "cont", NULL, deadline, err);
}

/* ---- snapshot ---- */

static int
can_be_taken(struct supervisor *s, struct err *err)
{
	const char *name = s->boot->spec.name, *net = s->boot->spec.net;
	int i;

	if (s->stopping)
		return err_set(err, ERR_BUSY, "VM '%s' is stopping", name);
	if (s->qmp.fd < 0)
		return err_set(err, ERR_LIMIT,
			"driver '%s' cannot save a VM; qemu can",
			s->boot->spec.driver);
	if (s->memory < 0)
		return err_set(err, ERR_LIMIT,
			"VM '%s' was restored itself; save one that was "
			"booted", name);
	if (strcmp(net, "none") != 0 && !usernet_mode(net))
		return err_set(err, ERR_LIMIT,
			"VM '%s' has --net %s; one with none or user can be "
			"saved", name, net);
	if (disks_any(&s->boot->spec.disk))
		return err_set(err, ERR_LIMIT,
			"VM '%s' has a disk of its own, which its copies "
			"cannot share", name);
	for (i = 0; i < LINKS; i++)
		if (s->links[i].guest)
			return err_set(err, ERR_BUSY,
				"a command runs in VM '%s'; its copies would "
				"have nobody to end it", name);
	return 0;
}

static struct json *
about(const struct supervisor *s, const char *name, int64_t size)
{
	const struct vm_spec *spec = &s->boot->spec;
	CLEANUP_FREE char *cpu = snapshot_cpu();
	struct json *o = json_object();

	json_put_str(o, "name", name);
	json_put_str(o, "vm", spec->name);
	json_put_str(o, "image", spec->image);
	json_put_str(o, "digest", json_str(s->image.manifest, "digest", ""));
	json_put_str(o, "driver", spec->driver);
	json_put_str(o, "hypervisor", s->qmp.version);
	json_put_str(o, "cpu", cpu);
	json_put_int(o, "cpus", spec->cpus);
	json_put_int(o, "memory_mb", spec->memory >> 20);
	json_put_str(o, "net", spec->net);
	json_put_int(o, "size", size);
	json_put_int(o, "created_at", clock_wall());
	return o;
}

/* The machine stands still. */
static int
save(struct supervisor *s, struct snapshot_new *n, struct err *err)
{
	CLEANUP_JSON struct json *o = NULL;
	int64_t size;

	if (qmp_migrate(&s->qmp, "migrate", n->state,
		    clock_mono() + MIGRATE_WAIT, err) ||
		snapshot_copy(n, s->memory, &size, err))
		return -1;
	o = about(s, n->name, size);
	return snapshot_publish(n, o, err);
}

static int
add_event(struct supervisor *s, const char *name, struct err *err)
{
	struct json *data = json_object();
	CLEANUP_TXN struct txn t = TXN_INIT;

	json_put_str(data, "snapshot", name);
	if (db_begin(s->db, &t, err)) {
		json_free(data);
		return -1;
	}
	return event_add(s->db, "vm.saved", s->boot->spec.name, data, err) ||
			db_commit(&t, err) ?
		-1 :
		0;
}

int
snapshot_machine(struct supervisor *s, const char *name, struct err *err)
{
	struct snapshot_new n = SNAPSHOT_NEW_INIT;
	struct err later = ERR_INIT;
	bool paused = s->paused;
	int rc;

	if (can_be_taken(s, err) || snapshot_begin(s->st, name, &n, err) ||
		(!paused && supervisor_pause(s, err))) {
		snapshot_new_release(&n);
		return -1;
	}
	rc = save(s, &n, err);
	snapshot_new_release(&n);
	if (!paused && supervisor_resume(s, &later) && !rc) {
		*err = later;
		rc = -1;
	}
	return rc ? -1 : add_event(s, name, err);
}
