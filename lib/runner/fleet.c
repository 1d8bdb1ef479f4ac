#include "lib/runner/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/host.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/runner/fleet_rows.h"
#include "lib/runner/version.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define START_TIMEOUT 60000 /* ms for a runner to be on record */

static const int64_t mib = 1 << 20;

void
fleet_release(struct fleet *f)
{
	plan_release(&f->plan);
	free(f->demand);
	free(f->crews);
	free(f->releases);
	free(f->repos);
	free(f->supply);
	strings_free(f->strings);
	pools_release(&f->pools);
	*f = FLEET_INIT;
}

/* ---- limits ---- */

static int
load_max_per_repo(struct fleet *f, struct config *c, struct err *err)
{
	int64_t max;
	size_t i;

	if (config_int(c, "forge", NULL, "max-per-repo", -1, &max, err))
		return -1;
	for (i = 0; i < f->nrepos; i++)
		f->repos[i].max = max < 0 || max > INT32_MAX ? -1 : (int)max;
	return 0;
}

static int
load_repos(struct fleet *f, struct config *c, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	int64_t max, weight;
	size_t i;

	if (load_max_per_repo(f, c, err))
		return -1;
	config_names(c, "repo", &names);
	for (i = 0; i < names.n; i++) {
		struct repo *r = fleet_repo(f, names.v[i]);

		if (!r)
			continue;
		if (config_int(c, "repo", names.v[i], "max", r->max, &max,
			    err) ||
			config_int(c, "repo", names.v[i], "weight", 1, &weight,
				err))
			return -1;
		r->max = max < 0 || max > INT32_MAX ? -1 : (int)max;
		r->weight = weight < 1 || weight > 1000000 ? 1 : (int)weight;
	}
	return 0;
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
minus(int64_t a, int64_t b)
{
	if (a == NO_LIMIT)
		return a;
	return a > b ? a - b : 0;
}

/* A setting that is absent, or negative, limits nothing. */
static int
limit(struct config *c, const char *key, bool size, int64_t *ret,
	struct err *err)
{
	int64_t n;

	if (size ? config_size(c, "forge", NULL, key, -1, &n, err) :
		   config_int(c, "forge", NULL, key, -1, &n, err))
		return -1;
	*ret = n < 0 ? NO_LIMIT : n;
	return 0;
}

/* What there is when nothing runs, and what is left of it now. */
static int
load_room(struct state *st, struct fleet *f, const struct used *used,
	struct config *c, struct err *err)
{
	struct room *whole = &f->whole;
	int64_t per_core, memory, disk;
	struct host h;

	if (limit(c, "max-vms", false, &whole->vms, err) ||
		limit(c, "max-cpus", false, &whole->cpus, err) ||
		limit(c, "max-memory", true, &whole->memory, err) ||
		config_int(c, "forge", NULL, "cpus-per-core", 8, &per_core,
			err) ||
		config_size(c, "forge", NULL, "keep-memory", 256 * mib,
			&memory, err) ||
		config_size(c, "forge", NULL, "keep-disk", 512 * mib, &disk,
			err))
		return -1;
	host_measure("", &h);
	if (per_core > 0)
		whole->cpus = least(whole->cpus, h.cores * per_core);
	whole->memory = least(whole->memory, minus(h.memory, memory));
	f->room = (struct room){ minus(whole->vms, used->vms),
		minus(whole->cpus, used->cpus),
		least(minus(whole->memory, used->memory),
			minus(h.free_memory, memory + used->promised)) };
	if (host_free_disk(state_dir(st)) < disk)
		f->room.vms = 0;
	return 0;
}

/*
 * Before GitHub refuses a listener, we do: but for one try an hour, which
 * shows whether the image was made anew.
 */
static void
bar_old(struct fleet *f, int64_t now)
{
	size_t i, k;

	for (i = 0; i < f->pools.n; i++) {
		struct supply *s = &f->supply[i];
		bool alive = s->starting || s->idle || s->busy;
		bool old = s->version &&
			version_compare(s->version, VERSION_LEAST) < 0;

		for (k = 0; s->version && k < f->nreleases; k++)
			old |= now - f->releases[k].seen_at > VERSION_BAR &&
				version_compare(f->releases[k].version,
					s->version) > 0;
		if (old)
			s->barred_until = alive ? now + VERSION_TRY :
						  s->version_at + VERSION_TRY;
	}
}

/* ---- the whole ---- */

static void
sum_up(struct fleet *f)
{
	size_t i;

	f->decisions = f->plan.pools;
	f->unserved = f->plan.unserved;
	for (i = 0; i < f->pools.n; i++) {
		int64_t at = f->decisions[i].retry_at;

		f->surplus += f->decisions[i].remove;
		if (at && (!f->retry_at || at < f->retry_at))
			f->retry_at = at;
	}
}

static int
load(struct state *st, struct fleet *f, struct err *err)
{
	struct decide in = { .now = clock_wall() };
	struct used used = { 0 };
	struct config *c;
	struct db *db;

	if (state_db(st, &db, err) || state_config(st, &c, err) ||
		pools_load(st, &f->pools, err))
		return -1;
	f->strings = strings_new();
	f->supply = xcalloc(f->pools.n + 1, sizeof(*f->supply));
	if (fleet_rows(db, f, in.now, &used, err) ||
		fleet_agents(db, f, err) || load_repos(f, c, err) ||
		load_room(st, f, &used, c, err) ||
		config_duration(c, "forge", NULL, "ageing", 60000, &in.ageing,
			err))
		return -1;
	bar_old(f, in.now);
	in.pools = f->pools.v;
	in.npools = f->pools.n;
	in.supply = f->supply;
	in.crews = f->crews;
	in.ncrews = f->ncrews;
	in.repos = f->repos;
	in.nrepos = f->nrepos;
	in.demand = f->demand;
	in.ndemand = f->ndemand;
	in.room = f->room;
	in.whole = f->whole;
	decide(&in, &f->plan);
	sum_up(f);
	return 0;
}

int
fleet_load(struct state *st, struct fleet *ret, struct err *err)
{
	*ret = FLEET_INIT;
	if (!load(st, ret, err))
		return 0;
	fleet_release(ret);
	return -1;
}

/* ---- acting ---- */

static void
add_labels(struct argv *a, const struct argv *labels)
{
	CLEANUP_BUF struct buf list = BUF_INIT;
	size_t i;

	for (i = 0; i < labels->n; i++)
		buf_addf(&list, "%s%s", i ? "," : "", labels->v[i]);
	argv_pushf(a, "--labels=%s", list.s);
}

/*
 * What `forge-runner start` does, without that program between: it costs as
 * much time as all the rest of the way to the boot.
 */
static void
start_args(struct state *st, const char *program, const struct pool *pool,
	const struct start *s, int notify_fd, struct argv *a)
{
	argv_pushv(a, (const char *[]){ program, "run", "--on-demand", NULL });
	argv_pushf(a, "--state=%s", state_path(st));
	argv_pushf(a, "--pool=%s", pool->name);
	argv_pushf(a, "--notify-fd=%d", notify_fd);
	add_labels(a, &s->labels);
	if (s->shape.cpus != pool->cpus)
		argv_pushf(a, "--cpus=%d", s->shape.cpus);
	if (s->shape.memory != pool->memory)
		argv_pushf(a, "--memory=%lld", (long long)s->shape.memory);
	if (s->shape.image)
		argv_pushf(a, "--place=vm:%s", s->shape.image);
}

/* Its name, when it is on record; or what it said when it ended instead. */
static int
await_name(int fd, const struct child *c, struct buf *name, struct err *err)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const char *line;
	int n;

	do
		n = poll(&p, 1, START_TIMEOUT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(err, ERR_TIMEOUT,
			"no runner is on record after %d s",
			START_TIMEOUT / 1000);
	if (buf_read_fd(name, fd, 4096, "its name", err))
		return -1;
	buf_rtrim(name);
	if (name->len)
		return 0;
	if (buf_read_fd(&said, c->err, 65536, "its errors", err))
		return -1;
	buf_rtrim(&said);
	line = strrchr(said.s, '\n');
	return err_set(err, ERR_SYS, "%.480s",
		line ? line + 1 : said.len ? said.s : "it ended at once");
}

static int
start_one(struct state *st, const struct pool *pool, const struct start *s,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf name = BUF_INIT;
	CLEANUP_FREE char *program = NULL;
	CLEANUP_CLOSE int rfd = -1, wfd = -1;
	struct child child = CHILD_INIT;
	struct proc_status status;
	int fds[2], rc;

	if (find_program("forge-runner", &program, err))
		return -1;
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	rfd = fds[0];
	wfd = fds[1];
	start_args(st, program, pool, s, wfd, &p.argv);
	p.in = PROC_NULL;
	p.out = PROC_NULL;
	p.err = PROC_PIPE;
	p.pass[p.npass++] = wfd;
	p.orphan = true; /* not ours to wait for */
	if (proc_spawn(&p, &child, err))
		return -1;
	(void)close(steal_fd(&wfd)); /* theirs is the one that counts */
	rc = proc_wait(&child, -1, &status, err) ||
			await_name(rfd, &child, &name, err) ?
		-1 :
		0;
	child_close(&child);
	if (!rc)
		log_info("runner.started", "pool", pool->name, "name", name.s,
			NULL);
	return rc;
}

int
fleet_act(struct state *st, const struct fleet *f, struct err *err)
{
	int started = 0;
	size_t i;
	int k;

	for (i = 0; i < f->plan.nstarts; i++) {
		const struct start *s = &f->plan.starts[i];
		const struct pool *pool = &f->pools.v[s->pool];

		for (k = 0; k < s->count; k++) {
			if (start_one(st, pool, s, err)) {
				log_error("runner.start", "pool", pool->name,
					"error", err->msg, NULL);
				*err = ERR_INIT;
				break; /* the next pass tries again */
			}
			started++;
		}
	}
	return started;
}

/* ---- telling ---- */

static struct json *
pool_json(const struct fleet *f, size_t i)
{
	const struct pool *p = &f->pools.v[i];
	const struct supply *s = &f->supply[i];
	const struct decision *d = &f->decisions[i];
	struct json *o = json_object();

	json_put_str(o, "name", p->name);
	json_put_str(o, "scope", p->scope);
	json_put_str(o, "place", p->place);
	json_put(o, "labels", pool_label_sets(p));
	json_put_int(o, "queued", d->queued);
	json_put_int(o, "starting", s->starting);
	json_put_int(o, "idle", s->idle);
	json_put_int(o, "busy", s->busy);
	json_put_int(o, "ending", s->ending);
	json_put_int(o, "min_idle", p->min_idle);
	json_put_int(o, "max", p->max);
	json_put_int(o, "start", d->start);
	json_put_int(o, "remove", d->remove);
	json_put_str(o, "verdict", verdict_name(d->verdict));
	return o;
}

int
fleet_each(const struct fleet *f,
	int (*emit)(struct json *row, void *arg), void *arg)
{
	size_t i;

	for (i = 0; i < f->pools.n; i++) {
		int rc = emit(pool_json(f, i), arg);

		if (rc)
			return rc;
	}
	return 0;
}
