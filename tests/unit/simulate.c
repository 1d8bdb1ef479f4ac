/*
 * simulate: random histories of jobs, runners and a GitHub whose events are
 * lost, doubled and late, with decide() in the middle.  After each decision
 * the rules that hold for any situation are checked; at the end of each
 * history every job must have run, and no runner be left but those kept
 * ready.
 *
 * 10,000 histories, or $SIMULATE of them; $SIMULATE_SEED begins elsewhere.
 * The one that breaks a rule is named by its seed.
 */
#include "lib/runner/decide.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/runner/match.h"
#include "tests/unit/tap.h"

enum { POOLS = 4, REPOS = 3, LABELS = 5, JOBS = 40, RUNNERS = 160 };
enum { STEPS = 40, DRAIN = 600, STEP_MS = 10000 };

enum phase { NONE, QUEUED, RUNNING, DONE };
enum life { GONE, STARTING, IDLE, BUSY };

struct job {
	enum phase truth, seen;
	int repo, labels, runner;
	int64_t since;
};

struct runner {
	enum life truth, seen; /* that it is gone we always know */
	size_t pool;
	struct argv labels;
	struct shape shape;
	int job;
};

/* An event under way: job and what it will be seen as. */
struct event {
	int job, delay;
	enum phase state;
};

static struct {
	struct pool pools[POOLS];
	size_t npools;
	struct repo repos[REPOS];
	struct job jobs[JOBS];
	int njobs;
	struct runner runners[RUNNERS];
	struct event events[4 * JOBS];
	int nevents;
	struct supply supply[POOLS];
	struct room whole;
	int64_t now;
	const char *bad;
} sim;

static const char *const sets[LABELS] = { "a", "b", "a,b", "a,b,c",
	"a,forge-memory=3g" };
static const char *const repos[REPOS] = { "acme/app", "acme/lib", "acme/doc" };
static struct argv labels[LABELS];

/* xorshift */
static uint32_t seed;

static int
dice(int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (int)(seed % (uint32_t)n);
}

static void
break_rule(const char *what)
{
	if (!sim.bad)
		sim.bad = what;
}

/* ---- a history's frame ---- */

#define GIB ((int64_t)1 << 30)

static void
make_pool(size_t i)
{
	static const char *const names[POOLS] = { "p0", "p1", "p2", "p3" };
	struct pool *p = &sim.pools[i];
	struct err err = ERR_INIT;
	int set;

	*p = POOL_INIT;
	p->name = xstrdup(names[i]);
	p->scope = i && !dice(3) ?
		xasprintf("repo:%s", repos[dice(REPOS)]) :
		xstrdup("org:acme");
	p->place = xstrdup("vm:plain");
	p->cpus = 1 + dice(2);
	p->memory = GIB;
	p->allow_memory = dice(2) ? 4 * GIB : 0;
	p->max = 1 + dice(6);
	p->min_idle = dice(3) ? 0 : 1;
	p->priority = dice(3);
	p->weight = 1 + dice(3);
	set = i ? dice(4) : 3; /* the first pool serves all but shapes */
	if (pool_add_labels(p, sets[set], &err) ||
		(!dice(3) && pool_add_labels(p, sets[dice(4)], &err)))
		abort();
}

static void
begin(uint32_t s)
{
	size_t i;

	memset(&sim, 0, sizeof(sim));
	seed = s * 2654435761u | 1;
	for (i = 0; i < 8; i++)
		(void)dice(2); /* seeds that are neighbours begin alike */
	sim.npools = (size_t)(1 + dice(POOLS));
	for (i = 0; i < sim.npools; i++)
		make_pool(i);
	for (i = 0; i < REPOS; i++)
		sim.repos[i] = (struct repo){ repos[i], 0,
			dice(4) ? -1 : 1 + dice(3), 1 + dice(2) };
	sim.whole = (struct room){ dice(3) ? NO_LIMIT : 2 + dice(6),
		dice(3) ? NO_LIMIT : 4 + dice(8),
		dice(3) ? NO_LIMIT : (3 + dice(8)) * GIB };
	sim.now = 1000000000;
}

static void
end(void)
{
	size_t i;

	for (i = 0; i < sim.npools; i++)
		pool_release(&sim.pools[i]);
	for (i = 0; i < RUNNERS; i++)
		if (sim.runners[i].labels.alloc)
			argv_release(&sim.runners[i].labels);
}

/* ---- GitHub ---- */

/* An event is lost, late, or comes twice. */
static void
announce(int job, enum phase state)
{
	int copies = dice(10) ? 1 : dice(3);

	while (copies-- && sim.nevents < 4 * JOBS)
		sim.events[sim.nevents++] = (struct event){ job,
			dice(4) ? 0 : dice(8), state };
}

static void
new_job(void)
{
	struct job *j = &sim.jobs[sim.njobs];

	if (sim.njobs == JOBS)
		return;
	*j = (struct job){ .truth = QUEUED, .repo = dice(REPOS),
		.labels = dice(LABELS), .runner = -1, .since = sim.now };
	announce(sim.njobs++, QUEUED);
}

static void
finish(int job)
{
	struct job *j = &sim.jobs[job];

	j->truth = DONE;
	if (j->runner >= 0) { /* its supervisor sees the end at once */
		sim.runners[j->runner].truth = GONE;
		sim.runners[j->runner].seen = GONE;
		sim.supply[sim.runners[j->runner].pool].failures = 0;
	}
	announce(job, DONE);
}

static void
cancel(void)
{
	int k = sim.njobs ? dice(sim.njobs) : 0;

	if (k < sim.njobs && sim.jobs[k].truth == QUEUED)
		finish(k);
}

static bool
covers(const struct pool *p, int repo)
{
	return !strncmp(p->scope, "org:", 4) ||
		!strcmp(p->scope + 5, repos[repo]);
}

/* GitHub gives any matching job to any idle runner. */
static void
assign(int r)
{
	struct runner *x = &sim.runners[r];
	int k, first = sim.njobs ? dice(sim.njobs) : 0;

	for (k = 0; k < sim.njobs; k++) {
		int i = (first + k) % sim.njobs;
		struct job *j = &sim.jobs[i];

		if (j->truth != QUEUED ||
			!covers(&sim.pools[x->pool], j->repo) ||
			!labels_subset(&labels[j->labels],
				&x->labels))
			continue;
		j->truth = RUNNING;
		j->runner = r;
		x->truth = BUSY;
		x->job = i;
		announce(i, RUNNING);
		return;
	}
}

static void
fail(int r)
{
	struct supply *s = &sim.supply[sim.runners[r].pool];

	sim.runners[r].truth = sim.runners[r].seen = GONE;
	s->failures++;
	s->failed_at = sim.now;
}

static void
live(bool failing)
{
	int r;

	for (r = 0; r < RUNNERS; r++) {
		struct runner *x = &sim.runners[r];

		if (x->truth == STARTING && failing && !dice(10)) {
			fail(r);
		} else if (x->truth == STARTING && dice(2)) {
			x->truth = x->seen = IDLE;
		} else if (x->truth == BUSY && !dice(4)) {
			finish(x->job);
		}
		if (x->truth == IDLE)
			assign(r);
	}
}

/* ---- what we know of it ---- */

/* As job_apply() does it: forward only, and the runner with the job. */
static void
see(int job, enum phase state)
{
	struct job *j = &sim.jobs[job];

	if (state <= j->seen)
		return;
	j->seen = state;
	if (state == RUNNING && j->runner >= 0 &&
		sim.runners[j->runner].job == job &&
		sim.runners[j->runner].seen != GONE)
		sim.runners[j->runner].seen = BUSY;
}

static void
deliver(void)
{
	int i, n = sim.nevents;

	sim.nevents = 0;
	for (i = 0; i < n; i++) {
		struct event *e = &sim.events[i];

		if (e->delay-- > 0)
			sim.events[sim.nevents++] = *e;
		else
			see(e->job, e->state);
	}
}

/* Now and then GitHub's own list is read. */
static void
resync(void)
{
	int i;

	for (i = 0; i < sim.njobs; i++)
		see(i, sim.jobs[i].truth);
}

/* ---- the situation, as a decision takes it ---- */

static struct {
	struct crew crews[RUNNERS];
	struct demand demand[JOBS];
	struct decide in;
} now;

static void
count_runner(struct runner *x)
{
	struct supply *s = &sim.supply[x->pool];
	size_t i;

	if (x->seen == GONE)
		return;
	if (x->seen == BUSY) {
		s->busy++;
		if (x->job >= 0)
			sim.repos[sim.jobs[x->job].repo].busy++;
		return;
	}
	s->starting += x->seen == STARTING;
	s->idle += x->seen == IDLE;
	for (i = 0; i < now.in.ncrews; i++) {
		struct crew *c = &now.crews[i];

		if (c->pool == x->pool && c->labels->n == x->labels.n &&
			labels_subset(c->labels, &x->labels))
			break;
	}
	if (i == now.in.ncrews)
		now.crews[now.in.ncrews++] = (struct crew){ x->pool,
			&x->labels, 0, 0, 0, 0 };
	now.crews[i].ready++;
	now.crews[i].spare++;
}

static int
by_pool(const void *a, const void *b)
{
	const struct crew *x = a, *y = b;

	return x->pool < y->pool ? -1 : x->pool > y->pool;
}

static void
count_job(const struct job *j)
{
	size_t i;

	if (j->seen != QUEUED)
		return;
	for (i = 0; i < now.in.ndemand; i++)
		if (now.demand[i].repo_at == (size_t)j->repo &&
			now.demand[i].labels == &labels[j->labels])
			break;
	if (i == now.in.ndemand)
		now.demand[now.in.ndemand++] = (struct demand){
			.repo = repos[j->repo], .repo_at = (size_t)j->repo,
			.labels = &labels[j->labels], .since = j->since };
	now.demand[i].count++;
}

static void
take(int64_t *room, int64_t n)
{
	if (*room != NO_LIMIT)
		*room -= n;
}

static void
look(void)
{
	struct room room = sim.whole;
	int i;

	for (i = 0; i < (int)sim.npools; i++)
		sim.supply[i] = (struct supply){
			.failures = sim.supply[i].failures,
			.failed_at = sim.supply[i].failed_at };
	for (i = 0; i < REPOS; i++)
		sim.repos[i].busy = 0;
	now.in = (struct decide){ .pools = sim.pools, .npools = sim.npools,
		.supply = sim.supply, .crews = now.crews, .repos = sim.repos,
		.nrepos = REPOS, .demand = now.demand, .now = sim.now,
		.ageing = 60000, .whole = sim.whole };
	for (i = 0; i < RUNNERS; i++) {
		const struct runner *x = &sim.runners[i];

		count_runner(&sim.runners[i]);
		if (x->seen == GONE)
			continue;
		take(&room.vms, 1);
		take(&room.cpus, x->shape.cpus);
		take(&room.memory, x->shape.memory);
	}
	qsort(now.crews, now.in.ncrews, sizeof(*now.crews), by_pool);
	for (i = 0; i < sim.njobs; i++)
		count_job(&sim.jobs[i]);
	now.in.room = room;
}

/* ---- the rules ---- */

static int
alive(size_t i)
{
	const struct supply *s = &sim.supply[i];

	return s->starting + s->idle + s->busy + s->ending;
}

static void
check_caps(const struct plan *p)
{
	struct room left = now.in.room;
	size_t i;

	for (i = 0; i < p->nstarts; i++) {
		const struct start *s = &p->starts[i];

		if (s->count < 1)
			break_rule("a start of none");
		take(&left.vms, s->count);
		take(&left.cpus, (int64_t)s->count * s->shape.cpus);
		take(&left.memory, s->count * s->shape.memory);
	}
	if (p->nstarts && (left.vms < 0 || left.cpus < 0 || left.memory < 0))
		break_rule("more than the host has room for");
	for (i = 0; i < sim.npools; i++)
		if (p->pools[i].start &&
			alive(i) + p->pools[i].start > sim.pools[i].max)
			break_rule("more than the pool's max");
}

/* Runners of a repository's own pools are its own: then we can count. */
static void
check_repos(const struct plan *p)
{
	size_t i, k;

	for (i = 0; i < REPOS; i++) {
		int have = 0, starts = 0;

		for (k = 0; k < sim.npools; k++) {
			if (!strncmp(sim.pools[k].scope, "org:", 4) ||
				strcmp(sim.pools[k].scope + 5, repos[i]) != 0)
				continue;
			if (sim.pools[k].min_idle)
				have = -RUNNERS; /* those are extra */
			have += alive(k) - p->pools[k].remove;
			starts += p->pools[k].start;
		}
		if (starts && sim.repos[i].max >= 0 &&
			have + starts > sim.repos[i].max)
			break_rule("more than the repository's max");
	}
}

/* A job that waits, and a pool that says there is nothing in its way. */
static void
check_waiting(const struct plan *p)
{
	int queued = p->unserved, jobs = 0;
	size_t i, ready[POOLS] = { 0 };

	for (i = 0; i < now.in.ndemand; i++)
		jobs += now.demand[i].count;
	for (i = 0; i < now.in.ncrews; i++)
		ready[now.crews[i].pool] += (size_t)now.crews[i].ready;
	for (i = 0; i < sim.npools; i++) {
		const struct decision *d = &p->pools[i];
		int has = (int)ready[i] + d->start;

		queued += d->queued;
		if ((d->verdict == VERDICT_ENOUGH ||
			    d->verdict == VERDICT_START) &&
			d->queued > has)
			break_rule("a job waits although nothing is full");
		if (d->verdict == VERDICT_FULL &&
			alive(i) + d->start < sim.pools[i].max)
			break_rule("a pool is called full that is not");
		if (d->verdict == VERDICT_BACKOFF &&
			d->retry_at <= sim.now)
			break_rule("a back-off that is over");
	}
	if (queued != jobs)
		break_rule("a job counts twice or never");
}

/* When the host is called full, one more of the least would not fit, or the
 * room is kept for one that waited long. */
static void
check_host(const struct plan *p)
{
	struct room left = now.in.room;
	int64_t oldest = sim.now;
	bool full = false;
	size_t i;

	for (i = 0; i < p->nstarts; i++) {
		take(&left.vms, p->starts[i].count);
		take(&left.cpus,
			(int64_t)p->starts[i].count * p->starts[i].shape.cpus);
		take(&left.memory,
			p->starts[i].count * p->starts[i].shape.memory);
	}
	for (i = 0; i < now.in.ndemand; i++)
		if (now.demand[i].since < oldest)
			oldest = now.demand[i].since;
	for (i = 0; i < sim.npools; i++)
		full |= p->pools[i].verdict == VERDICT_HOST_FULL;
	if (full && left.vms > 0 && left.cpus >= 2 && left.memory >= 3 * GIB &&
		sim.now - oldest < 5 * now.in.ageing)
		break_rule("the host is called full that is not");
}

static void
check_surplus(const struct plan *p)
{
	int waiting = 0;
	size_t i;

	for (i = 0; i < now.in.ndemand; i++)
		waiting += now.demand[i].count;
	for (i = 0; i < now.in.ncrews; i++) {
		if (p->remove[i] < 0 || p->remove[i] > now.crews[i].spare)
			break_rule("more is given up than there is");
		if (!waiting && p->remove[i] &&
			now.crews[i].ready - p->remove[i] <
				sim.pools[now.crews[i].pool].min_idle &&
			labels_subset(now.crews[i].labels,
				&sim.pools[now.crews[i].pool].sets[0]))
			break_rule("min-idle is given up for nothing");
	}
}

/* ---- doing what was decided ---- */

static void
start(const struct start *s)
{
	int r, k, n = s->count;

	for (r = 0; r < RUNNERS && n; r++) {
		struct runner *x = &sim.runners[r];

		if (x->seen != GONE || x->truth != GONE)
			continue;
		if (x->labels.alloc)
			argv_release(&x->labels);
		*x = (struct runner){ .truth = STARTING, .seen = STARTING,
			.pool = s->pool, .labels = ARGV_INIT,
			.shape = s->shape, .job = -1 };
		for (k = 0; k < (int)s->labels.n; k++)
			argv_push(&x->labels, s->labels.v[k]);
		n--;
	}
	if (n)
		break_rule("more runners than any cap allows");
}

/* DELETE: GitHub refuses when it has a job. */
static void
give_up(const struct crew *c, int n)
{
	int r;

	for (r = 0; r < RUNNERS && n; r++) {
		struct runner *x = &sim.runners[r];

		if ((x->seen != STARTING && x->seen != IDLE) ||
			x->pool != c->pool || x->labels.n != c->labels->n ||
			!labels_subset(c->labels, &x->labels))
			continue;
		n--;
		if (x->truth == BUSY)
			continue; /* 422 */
		x->truth = x->seen = GONE;
	}
}

/*
 * Until something happens, little is left to decide: jobs that would do with
 * another's runner may once have taken it.
 */
static void
pass(int again)
{
	struct plan p;
	bool acted;
	size_t i;

	look();
	decide(&now.in, &p);
	check_caps(&p);
	check_repos(&p);
	check_waiting(&p);
	check_host(&p);
	check_surplus(&p);
	acted = p.nstarts > 0;
	for (i = 0; i < now.in.ncrews; i++)
		give_up(&now.crews[i], p.remove[i]);
	for (i = 0; i < p.nstarts; i++)
		start(&p.starts[i]);
	plan_release(&p);
	if (acted && again > 8)
		break_rule("the same is decided again and again");
	if (acted && !sim.bad)
		pass(again + 1);
}

/* ---- histories ---- */

/* Can any pool ever run it? */
static bool
possible(const struct job *j)
{
	struct demand d = { .repo = repos[j->repo],
		.labels = &labels[j->labels] };
	struct shape s;
	size_t i, set;

	if (!sim.repos[j->repo].max)
		return false;
	for (i = 0; i < sim.npools; i++)
		if (pool_serves(&sim.pools[i], &d, &set) &&
			sim.pools[i].max &&
			shape_of(&sim.pools[i], d.labels, &s) &&
			sim.whole.cpus >= s.cpus &&
			sim.whole.memory >= s.memory)
			return true;
	return false;
}

static void
step(bool troubled)
{
	if (troubled) {
		while (dice(2))
			new_job();
		if (!dice(6))
			cancel();
	}
	live(troubled);
	deliver();
	if (!troubled || !dice(8))
		resync();
	pass(0);
	sim.now += STEP_MS;
}

static bool
drained(void)
{
	int i;

	for (i = 0; i < sim.njobs; i++)
		if (sim.jobs[i].truth != DONE && possible(&sim.jobs[i]))
			return false;
	return true;
}

static void
check_end(void)
{
	int r, left[POOLS] = { 0 };
	size_t i;

	for (r = 0; r < RUNNERS; r++)
		if (sim.runners[r].truth != GONE)
			left[sim.runners[r].pool]++;
	for (i = 0; i < sim.npools; i++)
		if (left[i] > sim.pools[i].min_idle)
			break_rule("runners are left that nobody waits for");
}

static const char *
history(uint32_t s)
{
	int i;

	begin(s);
	for (i = 0; i < STEPS && !sim.bad; i++)
		step(true);
	for (i = 0; i < DRAIN && !sim.bad && !drained(); i++)
		step(false);
	if (!sim.bad && !drained())
		break_rule("a job never runs");
	for (i = 0; i < 20 && !sim.bad; i++)
		step(false);
	check_end();
	end();
	return sim.bad;
}

static uint32_t
number(const char *name, uint32_t fallback)
{
	const char *s = getenv(name);

	return s ? (uint32_t)strtoul(s, NULL, 10) : fallback;
}

int
main(void)
{
	uint32_t n = number("SIMULATE", 10000);
	uint32_t first = number("SIMULATE_SEED", 1), i;
	const char *bad = NULL;
	struct err err = ERR_INIT;
	struct pool all = POOL_INIT;

	for (i = 0; i < LABELS; i++) {
		if (pool_add_labels(&all, sets[i], &err))
			abort();
		labels[i] = all.sets[i];
	}
	for (i = 0; i < n && !bad; i++)
		bad = history(first + i);
	if (bad)
		printf("# SIMULATE=1 SIMULATE_SEED=%" PRIu32 "\n",
			first + i - 1);
	printf("# %" PRIu32 " histories\n", i);
	is_str(bad ? bad : "sound", "sound", "random histories");
	pool_release(&all);
	return done();
}
