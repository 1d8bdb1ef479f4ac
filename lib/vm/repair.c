#include "lib/vm/vm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/base/tell.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/vm/cgroup_vm.h"
#include "lib/vm/driver.h"
#include "lib/vm/lease.h"
#include "lib/vm/net.h"
#include "lib/base/banned.h"

#define KILL_WAIT 5000 /* ms for a killed supervisor to let go of its lock */

struct repair {
	struct state *st;
	struct db *db;
	bool dry;
	bool elsewhere; /* other machines are asked as well */
	tell_fn *told;
};

static void
kill_process(const char *identity)
{
	pid_t pid = identity ? proc_find(identity) : 0;

	if (pid)
		(void)kill(pid, SIGKILL); /* it may have ended just now */
}

/*
 * Under the lock of the dead: nobody else buries it, and no new VM of that
 * name begins meanwhile.
 */
static const char *
reason_of(const char *supervisor)
{
	const char *boot = boot_id();
	size_t n = strlen(boot);

	if (!n || !*supervisor)
		return "its supervisor died";
	return strncmp(supervisor, boot, n) || supervisor[n] != ':' ?
		"the host was restarted" :
		"its supervisor died";
}

static int
bury(struct repair *r, const char *name, const char *hypervisor,
	const char *supervisor, const char *driver, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	CLEANUP_FREE char *state = NULL;
	struct driver d;

	if (state_lock(r->st, "vm", name, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT;
		return 0; /* alive */
	}
	/* Its supervisor may have come to its end since we read the row. */
	if (vm_state(r->db, name, &state, err))
		return -1;
	if (vm_over(state))
		return 0;
	if (driver_find(driver, &d, err))
		return -1;
	/* Another machine takes its time; that is for fsck. */
	if (d.elsewhere && !r->elsewhere)
		return r->dry ? 0 : vm_stopping(r->db, name, err);
	tell_line(r->told, "vm '%s': its supervisor is dead", name);
	if (r->dry)
		return 0;
	kill_process(hypervisor);
	if (driver_destroy(r->st, driver, name, err) ||
		vm_cgroup_remove(r->st, name, NULL, err) || net_bury(r->db, name, err) ||
		vm_remove_files(r->st, name, err))
		return -1;
	return vm_ended(r->db, name, true, EXIT_PLACE, reason_of(supervisor),
		err);
}

static int
bury_dead(struct repair *r, struct err *err)
{
	static const char sql[] =
		"SELECT name, coalesce(hypervisor, ''), "
		"coalesce(supervisor, ''), driver FROM vm WHERE "
		"state IN ('starting', 'running', 'paused', 'stopping')";
	CLEANUP_ARGV struct argv list = ARGV_INIT;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	size_t i;
	int rc;

	if (db_query(r->db, &rows, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		argv_push(&list, db_text(rows, 0));
		argv_push(&list, db_text(rows, 1));
		argv_push(&list, db_text(rows, 2));
		argv_push(&list, db_text(rows, 3));
	}
	if (rc)
		return -1;
	db_done(rows);
	rows = NULL;
	for (i = 0; i < list.n; i += 4)
		if (bury(r, list.v[i], list.v[i + 1], list.v[i + 2],
			    list.v[i + 3], err))
			return -1;
	return 0;
}

int
vm_repair(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	struct repair r = { .st = st, .dry = dry, .told = told };

	return state_db(st, &r.db, err) || bury_dead(&r, err) ? -1 : 0;
}

/* ---- what is left without a row, or a life ---- */

/*
 * Is there no living VM of that name?  Then *ret_lock keeps one from being
 * made, and *ret_state is what its row says, "" without one.  1, 0 or -1.
 */
static int
is_dead(struct repair *r, const char *name, char **ret_state, int *ret_lock,
	struct err *err)
{
	if (vm_state(r->db, name, ret_state, err))
		return -1;
	if (**ret_state && strcmp(*ret_state, "stopped") &&
		strcmp(*ret_state, "crashed"))
		return 0;
	if (!state_lock(r->st, "vm", name, 0, 0, ret_lock, err))
		return 1;
	if (err->code != ERR_BUSY)
		return -1;
	*err = ERR_INIT;
	return 0; /* its row is just being made */
}

static int
check_directory(struct repair *r, const char *name, struct err *err)
{
	CLEANUP_FREE char *state = NULL;
	CLEANUP_CLOSE int lock = -1;
	int rc = is_dead(r, name, &state, &lock, err);

	if (rc <= 0 || *state) /* one with a row is kept for its log */
		return rc < 0 ? -1 : 0;
	tell_line(r->told, "vm/%s: files without a VM", name);
	return r->dry ? 0 : vm_remove_files(r->st, name, err);
}

struct cgroup_check {
	struct repair *r;
	const struct cgroup_host *host;
	size_t prefix;
	struct err *err;
};

static int
check_cgroup(const char *id, void *arg)
{
	struct cgroup_check *c = arg;
	const char *name = id + c->prefix;
	CLEANUP_FREE char *state = NULL;
	CLEANUP_CLOSE int lock = -1;
	struct err unsafe = ERR_INIT;
	int rc;

	if (parse_name(name, "cgroup", &unsafe))
		return 0; /* not one of ours */
	rc = is_dead(c->r, name, &state, &lock, c->err);
	if (rc <= 0)
		return rc;
	tell_line(c->r->told, "cgroup " CGROUP_BASE "/%s: no VM lives in it",
		id);
	return c->r->dry ? 0 : cgroup_remove(c->host, id, c->err);
}

static int
check_cgroups(struct repair *r, struct err *err)
{
	CLEANUP_FREE char *prefix = vm_cgroup_id(r->st, "");
	struct cgroup_host h;
	struct cgroup_check c = { r, &h, strlen(prefix), err };

	cgroup_host_find(&h);
	if (cgroup_each(&h, prefix, check_cgroup, &c))
		return -1;
	if (!r->dry)
		cgroup_sweep(&h);
	return 0;
}

/* Of a driver that cannot be asked just now, what is there stays. */
static int
check_elsewhere(struct repair *r, struct err *err)
{
	CLEANUP_ARGV struct argv list = ARGV_INIT;
	size_t i;

	if (driver_list(r->st, &list, err)) {
		tell_line(r->told, "VMs on other machines: %s", err->msg);
		*err = ERR_INIT;
		return 0;
	}
	for (i = 0; i < list.n; i += 2) {
		CLEANUP_FREE char *state = NULL;
		CLEANUP_CLOSE int lock = -1;
		struct err unsafe = ERR_INIT;
		int rc;

		if (parse_name(list.v[i], "VM", &unsafe))
			continue; /* not one of ours */
		rc = is_dead(r, list.v[i], &state, &lock, err);
		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		tell_line(r->told,
			"vm '%s': nobody here knows what runs by driver '%s'",
			list.v[i], list.v[i + 1]);
		if (!r->dry &&
			driver_destroy(r->st, list.v[i + 1], list.v[i], err))
			return -1;
	}
	return 0;
}

int
vm_fsck(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	struct repair r = { .st = st, .dry = dry, .elsewhere = true,
		.told = told };
	int fd, rc = 0;
	struct dirent *e;
	DIR *d;

	if (state_db(st, &r.db, err) || bury_dead(&r, err) ||
		check_cgroups(&r, err) || check_elsewhere(&r, err))
		return -1;
	fd = openat(state_dir(st), "vm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 :
			err_sys(err, "cannot open '%s/vm'", state_path(st));
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd); /* read only */
		return err_sys(err, "cannot read '%s/vm'", state_path(st));
	}
	while (!rc && (e = readdir(d)))
		if (e->d_name[0] != '.')
			rc = check_directory(&r, e->d_name, err);
	(void)closedir(d); /* read only */
	return rc;
}

/* ---- destroy ---- */

static int
identities(struct db *db, const char *name, char **ret_supervisor,
	char **ret_hypervisor, char **ret_driver, struct err *err)
{
	static const char sql[] =
		"SELECT supervisor, hypervisor, driver FROM vm "
		"WHERE name = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc <= 0)
		return rc ? -1 : vm_unknown(name, err);
	*ret_supervisor = xstrdup_null(db_text(rows, 0));
	*ret_hypervisor = xstrdup_null(db_text(rows, 1));
	*ret_driver = xstrdup(db_text(rows, 2));
	return 0;
}

static int
forget(struct db *db, const char *name, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	int changes;

	if (db_begin(db, &t, err) || lease_drop(db, name, err) ||
		db_run(db, "DELETE FROM vm WHERE name = ?1", &changes, err,
			DB_S(name)))
		return -1;
	if (changes && event_add(db, "vm.destroyed", name, NULL, err))
		return -1;
	return db_commit(&t, err);
}

int
vm_destroy(struct state *st, const char *name, struct err *err)
{
	CLEANUP_FREE char *supervisor = NULL, *hypervisor = NULL;
	CLEANUP_FREE char *driver = NULL;
	CLEANUP_CLOSE int lock = -1;
	struct db *db;

	if (state_db(st, &db, err) ||
		identities(db, name, &supervisor, &hypervisor, &driver, err))
		return -1;
	kill_process(supervisor);
	if (state_lock(st, "vm", name, 0, KILL_WAIT, &lock, err))
		return err_wrap(err, "VM '%s' does not end", name);
	kill_process(hypervisor);
	if (driver_destroy(st, driver, name, err) ||
		vm_cgroup_remove(st, name, NULL, err) || net_bury(db, name, err) ||
		vm_remove_files(st, name, err))
		return -1;
	return forget(db, name, err);
}
