/*
 * decide: tables of situations with what should be started.  simulate.c tries
 * the rules that hold for any situation.
 */
#include "lib/runner/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/tap.h"

#define GIB ((int64_t)1 << 30)

static struct pool
make_pool(const char *name, const char *scope, const char *labels, int min_idle,
	int max, int priority)
{
	struct pool p = POOL_INIT;
	struct err err = ERR_INIT;

	p.name = xstrdup(name);
	p.scope = xstrdup(scope);
	p.min_idle = min_idle;
	p.max = max;
	p.priority = priority;
	p.weight = 1;
	p.cpus = 1;
	p.memory = GIB;
	p.place = xstrdup("vm:plain");
	if (pool_add_labels(&p, labels, &err))
		abort();
	return p;
}

struct row {
	const char *what;
	int queued_a, queued_b; /* jobs with labels a; with labels b */
	struct supply supply[2];
	int64_t host_room;
	int start[2];
	enum verdict verdict[2];
	int unserved;
};

/* Pool x serves label a, pool y labels a and b; y has the lower priority. */
static const struct row rows[] = {
	{ "nothing to do", 0, 0, { { 0 }, { 0 } }, NO_LIMIT, { 0, 0 },
		{ VERDICT_ENOUGH, VERDICT_ENOUGH }, 0 },
	{ "one job, the first pool", 1, 0, { { 0 }, { 0 } }, NO_LIMIT, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "an idle runner is enough", 1, 0, { { .idle = 1 }, { 0 } }, NO_LIMIT,
		{ 0, 0 }, { VERDICT_ENOUGH, VERDICT_ENOUGH }, 0 },
	{ "one that starts is enough", 1, 0, { { .starting = 1 }, { 0 } }, NO_LIMIT,
		{ 0, 0 }, { VERDICT_ENOUGH, VERDICT_ENOUGH }, 0 },
	{ "a busy one is not", 1, 0, { { .busy = 1 }, { 0 } }, NO_LIMIT, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "what does not fit overflows", 5, 0, { { 0 }, { 0 } }, NO_LIMIT, { 3, 2 },
		{ VERDICT_START, VERDICT_START }, 0 },
	{ "beyond all pools it waits at the first", 9, 0, { { 0 }, { 0 } }, NO_LIMIT,
		{ 3, 4 }, { VERDICT_FULL, VERDICT_START }, 0 },
	{ "label b is for the second pool", 0, 2, { { 0 }, { 0 } }, NO_LIMIT,
		{ 0, 2 }, { VERDICT_ENOUGH, VERDICT_START }, 0 },
	{ "ending ones still take room", 3, 0, { { .ending = 3 }, { 0 } }, NO_LIMIT,
		{ 0, 3 }, { VERDICT_ENOUGH, VERDICT_START }, 0 },
	{ "the host's room goes to the priority", 3, 3, { { 0 }, { 0 } }, 4,
		{ 3, 1 }, { VERDICT_START, VERDICT_HOST_FULL }, 0 },
	{ "no room at all", 1, 1, { { 0 }, { 0 } }, 0, { 0, 0 },
		{ VERDICT_HOST_FULL, VERDICT_HOST_FULL }, 0 },
	{ "one failure: at once", 1, 0,
		{ { .failures = 1, .failed_at = 100000 }, { 0 } }, NO_LIMIT, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "two failures: another pool takes it", 1, 0,
		{ { .failures = 2, .failed_at = 99000 }, { 0 } }, NO_LIMIT,
		{ 0, 1 }, { VERDICT_ENOUGH, VERDICT_START }, 0 },
	{ "two failures, and no other pool: five seconds", 0, 1,
		{ { 0 }, { .failures = 2, .failed_at = 99000 } }, NO_LIMIT,
		{ 0, 0 }, { VERDICT_ENOUGH, VERDICT_BACKOFF }, 0 },
	{ "five seconds later", 1, 0,
		{ { .failures = 2, .failed_at = 95000 }, { 0 } }, NO_LIMIT, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "a hundred failures: eighty seconds", 0, 1,
		{ { 0 }, { .failures = 100, .failed_at = 30000 } }, NO_LIMIT,
		{ 0, 0 }, { VERDICT_ENOUGH, VERDICT_BACKOFF }, 0 },
	{ "too old a runner: none before its time", 0, 1,
		{ { 0 }, { .barred_until = 100001 } }, NO_LIMIT, { 0, 0 },
		{ VERDICT_ENOUGH, VERDICT_BARRED }, 0 },
};

/* Of agents that have a and b, and others with a alone. */
static void
test_rooms(void)
{
	struct pool p = make_pool("far", "repo:acme/app", "A,B", 1, 9, 0);
	struct argv a = ARGV_INIT, b = ARGV_INIT;
	struct err err = ERR_INIT;
	struct plan plan;
	struct demand demand[] = {
		{ "acme/app", 0, NULL, &a, 9, 2 },
		{ "acme/app", 0, NULL, &b, 9, 1 },
	};
	struct repo repo = { "acme/app", 0, -1, 1 };
	struct supply supply = { 0 };
	struct decide in = { .pools = &p, .npools = 1, .supply = &supply,
		.demand = demand, .ndemand = 2, .repos = &repo, .nrepos = 1,
		.now = 100000, .room = { NO_LIMIT, NO_LIMIT, NO_LIMIT },
		.whole = { NO_LIMIT, NO_LIMIT, NO_LIMIT } };
	static int rooms[] = { 2, 5 };

	argv_push(&a, "a");
	argv_push(&b, "b");
	if (pool_add_labels(&p, "A", &err))
		abort();
	p.room = xcalloc(2, sizeof(*p.room));
	memcpy(p.room, rooms, sizeof(rooms));
	decide(&in, &plan);
	is_int(plan.pools[0].start, 5, "as many as agents have room for");
	is_str(verdict_name(plan.pools[0].verdict), "agents full", "and why");
	plan_release(&plan);

	p.room[0] = p.room[1] = 0;
	in.ndemand = 0;
	decide(&in, &plan);
	is_int(plan.pools[0].start, 0, "none to keep ready when they are full");
	is_str(verdict_name(plan.pools[0].verdict), "agents full", "and why");
	plan_release(&plan);
	argv_release(&a);
	argv_release(&b);
	pool_release(&p);
}

static void
test_table(void)
{
	struct pool pools[] = {
		make_pool("x", "repo:acme/app", "A", 0, 3, 10),
		make_pool("y", "org:ACME", "a,b,c", 0, 4, 0),
	};
	struct argv a = ARGV_INIT, b = ARGV_INIT;
	size_t i, k;

	argv_push(&a, "a");
	argv_push(&b, "b");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct demand demand[] = {
			{ "Acme/App", 0, NULL, &a, r->queued_a, 0 },
			{ "acme/app", 0, NULL, &b, r->queued_b, 0 },
		};
		struct repo repo = { "acme/app", 0, -1, 1 };
		struct crew crews[2];
		struct plan plan;
		const struct decision *d;
		struct decide in = { .pools = pools, .npools = 2,
			.supply = r->supply, .demand = demand, .ndemand = 2,
			.crews = crews, .ncrews = 2, .repos = &repo,
			.nrepos = 1, .now = 100000,
			.room = { r->host_room, NO_LIMIT, NO_LIMIT },
			.whole = { NO_LIMIT, NO_LIMIT, NO_LIMIT } };

		for (k = 0; k < 2; k++) {
			int ready = r->supply[k].starting + r->supply[k].idle;

			crews[k] = (struct crew){ k, &pools[k].sets[0], ready,
				ready, 0, 0 };
		}
		decide(&in, &plan);
		d = plan.pools;

		is_int(plan.unserved, r->unserved, r->what);
		is_int(d[0].start, r->start[0], r->what);
		is_int(d[1].start, r->start[1], r->what);
		is_str(verdict_name(d[0].verdict), verdict_name(r->verdict[0]),
			r->what);
		is_str(verdict_name(d[1].verdict), verdict_name(r->verdict[1]),
			r->what);
		plan_release(&plan);
	}
	argv_release(&a);
	argv_release(&b);
	pool_release(&pools[0]);
	pool_release(&pools[1]);
}

static void
test_scope(void)
{
	struct pool repo = make_pool("r", "repo:acme/app", "a", 0, 1, 0);
	struct pool org = make_pool("o", "org:acme", "a", 0, 1, 0);
	struct pool ent = make_pool("e", "enterprise:big", "a", 0, 1, 0);
	struct argv a = ARGV_INIT;
	struct demand d = { "acme/app", 0, NULL, &a, 1, 0 };
	size_t set;

	argv_push(&a, "a");
	ok(pool_serves(&repo, &d, &set), "a repository serves itself");
	ok(pool_serves(&org, &d, &set), "an organization serves its repositories");
	ok(!pool_serves(&ent, &d, &set), "an enterprise only its own");
	d.enterprise = "BIG";
	ok(pool_serves(&ent, &d, &set), "an enterprise serves by its name");
	d.repo = "acmeister/app";
	ok(!pool_serves(&org, &d, &set), "a longer owner is another one");
	d.repo = "acme/app2";
	ok(!pool_serves(&repo, &d, &set), "a longer name is another one");
	argv_push(&a, "zzz");
	d.repo = "acme/app";
	ok(!pool_serves(&repo, &d, &set), "a label too many does not fit");
	argv_release(&a);
	pool_release(&repo);
	pool_release(&org);
	pool_release(&ent);
}

int
main(void)
{
	test_table();
	test_rooms();
	test_scope();
	return done();
}
