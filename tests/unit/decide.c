/*
 * decide: a table of situations with what should be started, and then the
 * rules that hold for any situation, tried on many random ones.
 */
#include "lib/runner/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/tap.h"

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
	if (pool_add_labels(&p, labels, &err))
		abort();
	return p;
}

struct row {
	const char *what;
	int queued_a, queued_b; /* jobs with labels a; with labels b */
	struct supply supply[2];
	int host_room;
	int start[2];
	enum verdict verdict[2];
	int unserved;
};

/* Pool x serves label a, pool y labels a and b; y has the lower priority. */
static const struct row rows[] = {
	{ "nothing to do", 0, 0, { { 0 }, { 0 } }, -1, { 0, 0 },
		{ VERDICT_ENOUGH, VERDICT_ENOUGH }, 0 },
	{ "one job, the first pool", 1, 0, { { 0 }, { 0 } }, -1, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "an idle runner is enough", 1, 0, { { .idle = 1 }, { 0 } }, -1,
		{ 0, 0 }, { VERDICT_ENOUGH, VERDICT_ENOUGH }, 0 },
	{ "one that starts is enough", 1, 0, { { .starting = 1 }, { 0 } }, -1,
		{ 0, 0 }, { VERDICT_ENOUGH, VERDICT_ENOUGH }, 0 },
	{ "a busy one is not", 1, 0, { { .busy = 1 }, { 0 } }, -1, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "what does not fit overflows", 5, 0, { { 0 }, { 0 } }, -1, { 3, 2 },
		{ VERDICT_START, VERDICT_START }, 0 },
	{ "beyond all pools it waits at the first", 9, 0, { { 0 }, { 0 } }, -1,
		{ 3, 4 }, { VERDICT_FULL, VERDICT_START }, 0 },
	{ "label b is for the second pool", 0, 2, { { 0 }, { 0 } }, -1,
		{ 0, 2 }, { VERDICT_ENOUGH, VERDICT_START }, 0 },
	{ "ending ones still take room", 3, 0, { { .ending = 3 }, { 0 } }, -1,
		{ 0, 3 }, { VERDICT_ENOUGH, VERDICT_START }, 0 },
	{ "the host's room goes to the priority", 3, 3, { { 0 }, { 0 } }, 4,
		{ 3, 1 }, { VERDICT_START, VERDICT_HOST_FULL }, 0 },
	{ "no room at all", 1, 1, { { 0 }, { 0 } }, 0, { 0, 0 },
		{ VERDICT_HOST_FULL, VERDICT_HOST_FULL }, 0 },
	{ "one failure: at once", 1, 0,
		{ { .failures = 1, .failed_at = 100000 }, { 0 } }, -1, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "two failures: five seconds", 1, 0,
		{ { .failures = 2, .failed_at = 99000 }, { 0 } }, -1, { 0, 0 },
		{ VERDICT_BACKOFF, VERDICT_ENOUGH }, 0 },
	{ "five seconds later", 1, 0,
		{ { .failures = 2, .failed_at = 95000 }, { 0 } }, -1, { 1, 0 },
		{ VERDICT_START, VERDICT_ENOUGH }, 0 },
	{ "a hundred failures: eighty seconds", 1, 0,
		{ { .failures = 100, .failed_at = 30000 }, { 0 } }, -1,
		{ 0, 0 }, { VERDICT_BACKOFF, VERDICT_ENOUGH }, 0 },
};

static void
test_table(void)
{
	struct pool pools[] = {
		make_pool("x", "repo:acme/app", "A", 0, 3, 10),
		make_pool("y", "org:ACME", "a,b,c", 0, 4, 0),
	};
	struct argv a = ARGV_INIT, b = ARGV_INIT;
	size_t i;

	argv_push(&a, "a");
	argv_push(&b, "b");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct demand demand[] = {
			{ "Acme/App", NULL, &a, r->queued_a },
			{ "acme/app", NULL, &b, r->queued_b },
		};
		struct decide in = { .pools = pools, .npools = 2,
			.supply = r->supply, .demand = demand, .ndemand = 2,
			.now = 100000, .host_room = r->host_room };
		struct decision d[2];

		is_int(decide(&in, d), r->unserved, r->what);
		is_int(d[0].start, r->start[0], r->what);
		is_int(d[1].start, r->start[1], r->what);
		is_str(verdict_name(d[0].verdict), verdict_name(r->verdict[0]),
			r->what);
		is_str(verdict_name(d[1].verdict), verdict_name(r->verdict[1]),
			r->what);
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
	struct demand d = { "acme/app", NULL, &a, 1 };

	argv_push(&a, "a");
	ok(pool_serves(&repo, &d), "a repository serves itself");
	ok(pool_serves(&org, &d), "an organization serves its repositories");
	ok(!pool_serves(&ent, &d), "an enterprise only its own");
	d.enterprise = "BIG";
	ok(pool_serves(&ent, &d), "an enterprise serves by its name");
	d.repo = "acmeister/app";
	ok(!pool_serves(&org, &d), "a longer owner is another one");
	d.repo = "acme/app2";
	ok(!pool_serves(&repo, &d), "a longer name is another one");
	argv_push(&a, "zzz");
	d.repo = "acme/app";
	ok(!pool_serves(&repo, &d), "a label too many does not fit");
	argv_release(&a);
	pool_release(&repo);
	pool_release(&org);
	pool_release(&ent);
}

/* xorshift: the same cases each time */
static unsigned
dice(unsigned n)
{
	static unsigned x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % n;
}

#define POOLS 5
#define KINDS 6

static void
roll(struct supply *s)
{
	*s = (struct supply){ .starting = (int)dice(4), .idle = (int)dice(4),
		.busy = (int)dice(4), .ending = (int)dice(2),
		.failures = (int)dice(3), .failed_at = 90000 + dice(10000) };
}

/* Returns what is broken, or NULL. */
static const char *
broken(const struct decide *in, const struct decision *d, int unserved)
{
	int started = 0, queued = 0, jobs = 0;
	bool refused = false;
	size_t i;

	for (i = 0; i < in->ndemand; i++)
		jobs += in->demand[i].count;
	for (i = 0; i < in->npools; i++) {
		const struct supply *s = &in->supply[i];
		int have = s->starting + s->idle + s->busy + s->ending;

		started += d[i].start;
		queued += d[i].queued;
		refused |= d[i].verdict == VERDICT_HOST_FULL;
		if (d[i].start < 0)
			return "a negative number";
		if (d[i].start && have + d[i].start > in->pools[i].max)
			return "more than the pool's max";
		if (d[i].verdict == VERDICT_ENOUGH &&
			s->starting + s->idle <
				d[i].queued + in->pools[i].min_idle)
			return "enough although there is not";
		if (d[i].verdict == VERDICT_START &&
			s->starting + s->idle + d[i].start !=
				d[i].queued + in->pools[i].min_idle)
			return "not exactly what is wanted";
	}
	if (in->host_room >= 0 && started > in->host_room)
		return "more than the host has room for";
	if (refused && started < in->host_room)
		return "refused although there is room";
	if (queued + unserved != jobs)
		return "a job is counted twice or never";
	return NULL;
}

static void
test_random(void)
{
	static const char *const labels[KINDS] = { "a", "b", "c", "d", "e",
		"f" };
	struct pool pools[POOLS] = {
		make_pool("p0", "org:acme", "a,b", 1, 3, 1),
		make_pool("p1", "org:acme", "a,b,c,d", 0, 5, 1),
		make_pool("p2", "repo:acme/app", "c", 2, 2, 7),
		make_pool("p3", "repo:acme/other", "a,b,c,d,e", 0, 9, 9),
		make_pool("p4", "org:acme", "d,e", 0, 0, 3),
	};
	struct argv sets[KINDS];
	const char *bad = NULL;
	int i, k;

	for (i = 0; i < KINDS; i++) {
		sets[i] = ARGV_INIT;
		argv_push(&sets[i], labels[i]);
	}
	for (i = 0; i < 100000 && !bad; i++) {
		struct demand demand[KINDS];
		struct supply supply[POOLS];
		struct decision d[POOLS];
		struct decide in = { .pools = pools, .npools = POOLS,
			.supply = supply, .demand = demand, .ndemand = KINDS,
			.now = 100000, .host_room = (int)dice(12) - 1 };

		for (k = 0; k < KINDS; k++)
			demand[k] = (struct demand){ dice(3) ? "acme/app" :
							       "acme/other",
				NULL, &sets[k], (int)dice(5) };
		for (k = 0; k < POOLS; k++)
			roll(&supply[k]);
		bad = broken(&in, d, decide(&in, d));
	}
	is_str(bad ? bad : "sound", "sound", "100000 random situations");
	for (i = 0; i < KINDS; i++)
		argv_release(&sets[i]);
	for (i = 0; i < POOLS; i++)
		pool_release(&pools[i]);
}

int
main(void)
{
	test_table();
	test_scope();
	test_random();
	return done();
}
