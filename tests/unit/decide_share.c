/*
 * decide: who goes first when not all can, what jobs may ask of their VM, and
 * which runners are given up.
 */
#include "lib/runner/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/tap.h"

#define GIB ((int64_t)1 << 30)
#define MINUTE 60000
#define NOW (100 * (int64_t)MINUTE)
#define MANY 8

/* A situation under construction; labels are lists with commas between. */
static struct {
	struct pool pools[MANY], sets; /* sets: every labels list, parsed */
	struct supply supply[MANY];
	struct crew crews[MANY];
	struct repo repos[MANY];
	struct demand demand[MANY];
	struct decide in;
	struct plan plan;
} t;

static const struct argv *
labels(const char *list)
{
	struct err err = ERR_INIT;
	struct argv *a = xcalloc(1, sizeof(*a));

	pool_clear_labels(&t.sets);
	if (pool_add_labels(&t.sets, list, &err))
		abort();
	*a = t.sets.sets[0];
	t.sets.nsets = 0;
	return a;
}

static void
begin(void)
{
	size_t i;

	for (i = 0; i < t.in.npools; i++)
		pool_release(&t.pools[i]);
	for (i = 0; i < t.in.ncrews + t.in.ndemand; i++) {
		const struct argv *a = i < t.in.ncrews ?
			t.crews[i].labels :
			t.demand[i - t.in.ncrews].labels;
		struct argv copy = *a;

		argv_release(&copy);
		free((void *)(uintptr_t)a);
	}
	plan_release(&t.plan);
	pool_release(&t.sets);
	memset(&t, 0, sizeof(t));
	t.sets = POOL_INIT;
	t.in = (struct decide){ .pools = t.pools, .supply = t.supply,
		.crews = t.crews, .repos = t.repos, .demand = t.demand,
		.now = NOW, .ageing = MINUTE,
		.room = { NO_LIMIT, NO_LIMIT, NO_LIMIT },
		.whole = { NO_LIMIT, NO_LIMIT, NO_LIMIT } };
}

static struct pool *
pool(const char *list, int max, int priority)
{
	struct pool *p = &t.pools[t.in.npools];
	struct err err = ERR_INIT;

	*p = POOL_INIT;
	p->name = xasprintf("p%zu", t.in.npools++);
	p->scope = xstrdup("org:acme");
	p->place = xstrdup("vm:plain");
	p->cpus = 1;
	p->memory = GIB;
	p->max = max;
	p->priority = priority;
	p->weight = 1;
	if (pool_add_labels(p, list, &err))
		abort();
	return p;
}

static struct repo *
repo(const char *name, int busy)
{
	t.repos[t.in.nrepos] = (struct repo){ name, busy, -1, 1 };
	return &t.repos[t.in.nrepos++];
}

static void
jobs(size_t at, const char *list, int count, int minutes)
{
	t.demand[t.in.ndemand++] = (struct demand){ .repo = t.repos[at].name,
		.repo_at = at, .labels = labels(list), .count = count,
		.since = NOW - (int64_t)minutes * MINUTE };
}

static void
crew(size_t at, const char *list, int ready, int spare)
{
	t.crews[t.in.ncrews++] = (struct crew){ at, labels(list), ready,
		spare, 0, 0 };
	t.supply[at].idle += ready;
}

static void
run(void)
{
	decide(&t.in, &t.plan);
}

static int
starts(size_t at)
{
	return t.plan.pools[at].start;
}

static const char *
verdict(size_t at)
{
	return verdict_name(t.plan.pools[at].verdict);
}

static void
test_shapes(void)
{
	struct pool *p;

	begin();
	p = pool("linux,x64", 9, 0);
	p->allow_cpus = 4;
	p->allow_memory = 8 * GIB;
	argv_push(&p->allow_images, "Big");
	repo("acme/app", 0);
	jobs(0, "linux,forge-cpus=4,forge-memory=8g,forge-image=big", 2, 1);
	jobs(0, "linux,forge-cpus=5", 1, 1);
	jobs(0, "linux,forge-cpus=2,forge-cpus=3", 1, 1);
	jobs(0, "linux,forge-image=other", 1, 1);
	jobs(0, "linux,forge-memory=9g", 1, 1);
	run();
	is_int(starts(0), 2, "what is allowed is started");
	is_int(t.plan.unserved, 4, "what is not is not served");
	is_int(t.plan.starts[0].count, 2, "two of a kind");
	is_int(t.plan.starts[0].shape.cpus, 4, "with so many processors");
	ok(t.plan.starts[0].shape.memory == 8 * GIB, "so much memory");
	is_str(t.plan.starts[0].shape.image, "Big", "the image as configured");
	is_int((int)t.plan.starts[0].labels.n, 5, "set and shape register");

	begin();
	pool("linux", 9, 0);
	repo("acme/app", 0);
	jobs(0, "linux,forge-cpus=1", 1, 1);
	run();
	is_int(t.plan.unserved, 1, "nothing is allowed by itself");
}

static void
test_sets(void)
{
	struct err err = ERR_INIT;
	struct pool *p;

	begin();
	p = pool("linux,x64", 9, 0);
	ok(!pool_add_labels(p, "linux,gpu", &err), "two sets");
	repo("acme/app", 0);
	jobs(0, "gpu", 1, 1);
	jobs(0, "gpu,x64", 1, 1);
	run();
	is_int(t.plan.unserved, 1, "a job fits one set, not their sum");
	is_str(t.plan.starts[0].labels.v[0], "gpu", "that set registers");

	begin();
	p = pool("linux,x64", 9, 0);
	ok(!pool_add_labels(p, "linux,gpu", &err), "two sets");
	repo("acme/app", 0);
	crew(0, "linux,x64", 1, 0);
	jobs(0, "gpu", 1, 1);
	jobs(0, "linux", 1, 5);
	run();
	is_int(starts(0), 1, "an idle runner of another set does not help");

	begin();
	pool("linux,gpu", 9, 0);
	repo("acme/app", 0);
	crew(0, "linux", 1, 0);
	crew(0, "linux,gpu", 1, 0);
	jobs(0, "linux", 1, 5);
	jobs(0, "linux,gpu", 1, 1);
	run();
	is_int(starts(0), 0, "each job against the least that will do");
}

static void
test_caps(void)
{
	begin();
	pool("a", 9, 0);
	repo("acme/app", 2)->max = 3;
	repo("acme/lib", 0);
	jobs(0, "a", 5, 9);
	jobs(1, "a", 1, 1);
	run();
	is_int(starts(0), 2, "a repository stops at its max");
	is_str(verdict(0), "repository full", "and it is said");

	begin();
	pool("a", 9, 0);
	pool("b", 9, 0)->memory = 3 * GIB;
	repo("acme/app", 0);
	t.in.room = t.in.whole = (struct room){ NO_LIMIT, 5, 4 * GIB };
	jobs(0, "b", 2, 2);
	jobs(0, "a", 9, 1);
	run();
	is_int(starts(0) + 3 * starts(1), 4, "memory is given out to the last");
	is_str(verdict(1), "host full", "and then the host is full");

	begin();
	pool("a", 9, 0)->cpus = 2;
	repo("acme/app", 0);
	t.in.room.cpus = 5;
	jobs(0, "a", 9, 1);
	run();
	is_int(starts(0), 2, "processors, too");

	begin();
	free(pool("a", 9, 0)->place);
	t.pools[0].place = xstrdup("slurm");
	repo("acme/app", 0);
	t.in.room = (struct room){ 3, 0, 0 };
	jobs(0, "a", 9, 1);
	run();
	is_int(starts(0), 3, "another place takes nothing of this host");
}

static void
test_share(void)
{
	begin();
	pool("a", 9, 0);
	repo("acme/flood", 3);
	repo("acme/quiet", 0);
	t.in.room.vms = 1;
	t.supply[0].busy = 3;
	jobs(0, "a", 500, 60);
	jobs(1, "a", 1, 0);
	t.in.ndemand = 2;
	run();
	is_str(t.plan.starts ? "one" : "none", "one", "one runner starts");
	is_int(t.plan.pools[0].queued, 501, "all jobs count");

	begin();
	pool("a", 100, 0);
	repo("acme/one", 0)->weight = 3;
	repo("acme/two", 0);
	t.in.room.vms = 8;
	jobs(0, "a", 100, 5);
	jobs(1, "a", 100, 5);
	run();
	is_int(starts(0), 8, "all the room is used");

	begin();
	pool("a", 100, 0)->weight = 3;
	pool("b", 100, 0);
	repo("acme/app", 0);
	t.in.room.vms = 8;
	jobs(0, "a", 100, 0);
	jobs(0, "b", 100, 0);
	run();
	is_int(starts(0), 6, "three quarters for the weight of three");
	is_int(starts(1), 2, "one quarter for the other");
}

static void
test_priority(void)
{
	begin();
	pool("a", 100, 10);
	pool("b", 100, 0);
	repo("acme/app", 0);
	t.in.room.vms = 4;
	jobs(0, "a", 100, 0);
	jobs(0, "b", 100, 5);
	run();
	is_int(starts(0), 4, "priority goes first");

	begin();
	pool("a", 100, 10);
	pool("b", 100, 0);
	repo("acme/app", 0);
	t.in.room.vms = 4;
	jobs(0, "a", 100, 0);
	jobs(0, "b", 100, 11);
	run();
	is_int(starts(1), 1, "but a pool without a runner ages");
	is_int(starts(0), 3, "until it has one");

	begin();
	pool("a", 100, 0);
	pool("b", 100, 0)->memory = 4 * GIB;
	repo("acme/app", 0);
	t.in.room.memory = 3 * GIB;
	t.in.whole.memory = 8 * GIB;
	jobs(0, "a", 100, 0);
	jobs(0, "b", 1, 4);
	run();
	is_int(starts(0), 3, "small ones pass a large one");

	begin();
	pool("a", 100, 0);
	pool("b", 100, 0)->memory = 4 * GIB;
	repo("acme/app", 0);
	t.in.room.memory = 3 * GIB;
	t.in.whole.memory = 8 * GIB;
	jobs(0, "a", 100, 0);
	jobs(0, "b", 1, 6);
	run();
	is_int(starts(0), 0, "but not for ever");
	t.in.whole.memory = 3 * GIB;
	plan_release(&t.plan);
	run();
	is_int(starts(0), 3, "only for one that can ever fit");
}

static void
test_ghosts(void)
{
	begin();
	pool("a", 9, 0)->min_idle = 1;
	repo("acme/app", 0);
	jobs(0, "a", 2, 1);
	crew(0, "a", 0, 0);
	t.crews[0].ghosts = 1;
	t.crews[0].ghosts_at = NOW;
	run();
	is_int(starts(0), 2, "a job that has run is not waited for");
	plan_release(&t.plan);
	t.crews[0].ghosts_at = NOW - 2 * MINUTE;
	run();
	is_int(starts(0), 3, "but it was not one that came later");
	t.in.ndemand = 0;
	plan_release(&t.plan);
	run();
	is_int(starts(0), 1, "one that has run is not kept ready");
	t.in.ndemand = 1;
}

static void
test_surplus(void)
{
	begin();
	pool("a", 9, 0)->min_idle = 1;
	repo("acme/app", 0);
	crew(0, "a", 4, 4);
	jobs(0, "a", 2, 1);
	run();
	is_int(t.plan.remove[0], 1, "what nobody waits for, but min-idle");

	begin();
	pool("a", 9, 0);
	crew(0, "a", 4, 3);
	run();
	is_int(t.plan.remove[0], 3, "never those that somebody asked for");

	begin();
	pool("a,b", 1, 0)->min_idle = 1;
	t.pools[0].allow_cpus = 4;
	repo("acme/app", 0);
	crew(0, "a,b", 1, 1);
	jobs(0, "a,forge-cpus=3", 1, 1);
	run();
	is_int(t.plan.remove[0], 1, "min-idle gives way to a job");
	is_str(verdict(0), "pool full", "which waits until then");

	begin();
	pool("a", 9, 0)->min_idle = 3;
	pool("b", 9, 0);
	repo("acme/app", 0);
	t.in.room.vms = 2;
	jobs(0, "b", 2, 1);
	run();
	is_int(starts(0), 0, "min-idle takes what is left over");
	is_int(starts(1), 2, "jobs go first");
}

int
main(void)
{
	test_shapes();
	test_sets();
	test_caps();
	test_share();
	test_priority();
	test_ghosts();
	test_surplus();
	begin();
	return done();
}
