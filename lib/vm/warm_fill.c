#include "lib/vm/warm.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/image.h"
#include "lib/vm/snapshot.h"
#include "lib/base/banned.h"

struct pool {
	struct state *st;
	struct db *db;
	const struct warm_hooks *hooks;
	char *name; /* of its snapshot */
	char *image, *driver, *net;
	int64_t cpus, memory_mb, wanted;
};

static void
pool_release(struct pool *p)
{
	free(p->name);
	free(p->image);
	free(p->driver);
	free(p->net);
}

static int
end_vm(struct pool *p, const char *name, struct err *err)
{
	if (!vm_destroy(p->st, name, err))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT; /* it was taken and is over */
	return 0;
}

static int
waiting(struct pool *p, struct argv *ret, struct err *err)
{
	static const char sql[] = "SELECT name FROM vm WHERE warm = ?1 AND "
		"state = 'paused' ORDER BY ready_at";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(p->db, &rows, sql, err, DB_S(p->name)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

static int
end_all(struct pool *p, size_t but, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	size_t i;

	if (waiting(p, &names, err))
		return -1;
	for (i = but; i < names.n; i++)
		if (end_vm(p, names.v[i], err))
			return -1;
	return 0;
}

/* ---- the snapshot ---- */

/* *ret_used: a VM that was taken still runs from it, so it stays. */
static int
remove_snapshot(struct pool *p, bool *ret_used, struct err *err)
{
	*ret_used = false;
	if (end_all(p, 0, err))
		return -1;
	if (!snapshot_rm(p->st, p->name, err))
		return 0;
	*ret_used = err->code == ERR_BUSY;
	if (!*ret_used && err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 0;
}

/* Begun as any other VM; killed, it is one of `run`, and leaves nothing. */
static int
make_snapshot(struct pool *p, struct err *err)
{
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_FREE char *random = random_name(8);
	CLEANUP_FREE char *base = xasprintf("vm-%s", random);
	struct err later = ERR_INIT;
	int rc;

	argv_push(&a, "supervise");
	argv_pushf(&a, "--state=%s", state_path(p->st));
	argv_pushf(&a, "--name=%s", base);
	argv_pushf(&a, "--image=%s", p->image);
	argv_pushf(&a, "--driver=%s", p->driver);
	argv_pushf(&a, "--net=%s", p->net);
	argv_pushf(&a, "--cpus=%lld", (long long)p->cpus);
	argv_pushf(&a, "--memory=%lldM", (long long)p->memory_mb);
	argv_push(&a, "--unkept");
	/* If we are killed between here and its end. */
	argv_push(&a, "--ttl=10m");
	if (p->hooks->start(&a, err))
		return -1;
	rc = vm_snapshot(p->st, base, p->name, err);
	if (vm_destroy(p->st, base, &later) && !rc) {
		*err = later;
		rc = -1;
	}
	return rc;
}

/*
 * Is there one, and does it fit this image and this host?  0 yes, 1 no, and
 * there can be none before the last VM of it has ended.
 */
static int
need_snapshot(struct pool *p, struct err *err)
{
	CLEANUP_SNAPSHOT struct snapshot s = SNAPSHOT_INIT;
	bool used;

	if (!snapshot_open(p->st, p->name, &s, err))
		return 0;
	if (err->code != ERR_NOTFOUND && err->code != ERR_INVALID)
		return -1;
	*err = ERR_INIT;
	if (remove_snapshot(p, &used, err))
		return -1;
	return used ? 1 : make_snapshot(p, err);
}

/* ---- its VMs ---- */

static int
add_one(struct pool *p, struct err *err)
{
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_FREE char *random = random_name(8);
	CLEANUP_FREE char *name = xasprintf("vm-%s", random);
	struct err later = ERR_INIT;
	bool used;

	argv_push(&a, "supervise");
	argv_pushf(&a, "--state=%s", state_path(p->st));
	argv_pushf(&a, "--name=%s", name);
	argv_pushf(&a, "--snapshot=%s", p->name);
	argv_push(&a, "--waits");
	argv_push(&a, "--unkept");
	if (!p->hooks->start(&a, err)) {
		p->hooks->told(name);
		return 0;
	}
	/* Of another version of the hypervisor: the next look makes it. */
	if (err->code == ERR_INVALID && remove_snapshot(p, &used, &later))
		*err = later;
	return -1;
}

static int
fill(struct pool *p, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	int rc = need_snapshot(p, err);
	size_t i;

	if (rc)
		return rc < 0 ? -1 : 0;
	if (end_all(p, (size_t)p->wanted, err) || waiting(p, &names, err))
		return -1;
	for (i = names.n; i < (size_t)p->wanted; i++)
		if (add_one(p, err))
			return -1;
	return 0;
}

static int
forget(struct pool *p, struct err *err)
{
	bool used;

	if (remove_snapshot(p, &used, err))
		return -1;
	return used ? 0 : db_run(p->db, "DELETE FROM warm WHERE snapshot = ?1 AND "
			"wanted = 0", NULL, err, DB_S(p->name));
}

static int
image_there(struct pool *p, bool *ret, struct err *err)
{
	static const char sql[] = "SELECT count(*) FROM image WHERE "
		"name = ?1 AND state = 'ready'";
	int64_t n;

	if (db_get_int(p->db, &n, sql, err, DB_S(p->image)))
		return -1;
	*ret = n > 0;
	return 0;
}

static int
look(struct pool *p, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	bool there, used;

	if (state_lock(p->st, "warm", p->name, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT; /* it is being filled */
		return 0;
	}
	if (image_there(p, &there, err))
		return -1;
	if (!p->wanted)
		return forget(p, err);
	return there ? fill(p, err) : remove_snapshot(p, &used, err);
}

static int
load(struct pool *p, const char *name, struct err *err)
{
	static const char sql[] = "SELECT image, driver, net, cpus, "
		"memory_mb, wanted FROM warm WHERE snapshot = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(p->db, &rows, sql, err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc < 1)
		return rc;
	p->name = xstrdup(name);
	p->image = xstrdup(db_text(rows, 0));
	p->driver = xstrdup(db_text(rows, 1));
	p->net = xstrdup(db_text(rows, 2));
	p->cpus = db_int(rows, 3);
	p->memory_mb = db_int(rows, 4);
	p->wanted = db_int(rows, 5);
	return 1;
}

int
warm_fill(struct state *st, const struct warm_hooks *hooks, struct err *err)
{
	static const char sql[] = "SELECT snapshot FROM warm ORDER BY snapshot";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct db *db;
	size_t i;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(&names, db_text(rows, 0));
	if (rc)
		return -1;
	db_done(rows);
	rows = NULL;
	for (i = 0; i < names.n; i++) {
		struct pool p = { .st = st, .db = db, .hooks = hooks };

		rc = load(&p, names.v[i], err);
		if (rc == 1)
			rc = look(&p, err);
		if (rc)
			(void)err_wrap(err, "warm VMs of '%s'",
				p.image ? p.image : names.v[i]);
		pool_release(&p);
		if (rc)
			return -1;
	}
	return 0;
}
