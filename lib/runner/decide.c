#include "lib/runner/decide.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const char *const verdicts[] = {
	[VERDICT_ENOUGH] = "enough",
	[VERDICT_START] = "start",
	[VERDICT_FULL] = "pool full",
	[VERDICT_HOST_FULL] = "host full",
	[VERDICT_BACKOFF] = "backing off",
};
_Static_assert(ARRAY_SIZE(verdicts) == VERDICT__MAX, "a verdict unnamed");

const char *
verdict_name(enum verdict v)
{
	return verdicts[v];
}

/* ---- matching ---- */

static bool
scope_covers(const char *scope, const struct demand *d)
{
	const char *name = strchr(scope, ':') + 1;
	size_t owner = strcspn(d->repo, "/");

	if (!strncmp(scope, "repo:", 5))
		return !strcasecmp(name, d->repo);
	if (!strncmp(scope, "org:", 4))
		return strlen(name) == owner &&
			!strncasecmp(name, d->repo, owner);
	return d->enterprise && !strcasecmp(name, d->enterprise);
}

/* Both sorted: one walk. */
static bool
subset(const struct argv *part, const struct argv *whole)
{
	size_t i = 0, j = 0;

	while (i < part->n && j < whole->n) {
		int c = strcmp(part->v[i], whole->v[j]);

		if (c < 0)
			return false;
		i += c == 0;
		j++;
	}
	return i == part->n;
}

bool
pool_serves(const struct pool *pool, const struct demand *d)
{
	size_t i;

	if (!scope_covers(pool->scope, d))
		return false;
	for (i = 0; i < pool->nsets; i++)
		if (subset(d->labels, &pool->sets[i]))
			return true;
	return false;
}

/* ---- counting ---- */

static int
total(const struct supply *s)
{
	return s->starting + s->idle + s->busy + s->ending;
}

/* Jobs that the pool can take without passing its max. */
static int
room(const struct pool *p, const struct supply *s, const struct decision *d)
{
	int more = p->max - total(s);

	return s->starting + s->idle + (more > 0 ? more : 0) - d->queued;
}

struct order {
	const struct pool *pool;
	size_t i;
};

static int
compare(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->pool->priority != y->pool->priority)
		return x->pool->priority < y->pool->priority ? 1 : -1;
	return strcmp(x->pool->name, y->pool->name);
}

/*
 * Spread one demand over the pools that serve it.  What finds no room still
 * counts for the first of them, so that it is seen to wait there.
 */
static bool
place_demand(const struct decide *in, const struct order *order,
	const struct demand *d, struct decision *decisions)
{
	size_t k, first = in->npools;
	int left = d->count;

	for (k = 0; k < in->npools && left > 0; k++) {
		size_t i = order[k].i;
		int n;

		if (!pool_serves(&in->pools[i], d))
			continue;
		if (first == in->npools)
			first = i;
		n = room(&in->pools[i], &in->supply[i], &decisions[i]);
		if (n > left)
			n = left;
		if (n > 0) {
			decisions[i].queued += n;
			left -= n;
		}
	}
	if (first == in->npools)
		return false;
	decisions[first].queued += left;
	return true;
}

/* Seconds to wait after 1, 2, ... failures in a row. */
static int64_t
backoff(int failures)
{
	static const int seconds[] = { 0, 5, 10, 20, 40, 80 };
	size_t n = ARRAY_SIZE(seconds);

	return failures <= 0 ? 0 :
		1000 * seconds[(size_t)failures > n ? n - 1 :
						     (size_t)failures - 1];
}

static void
want(const struct decide *in, size_t i, struct decision *d)
{
	const struct pool *p = &in->pools[i];
	const struct supply *s = &in->supply[i];
	int need = d->queued + p->min_idle - s->starting - s->idle;
	int more = p->max - total(s);
	int64_t until = s->failed_at + backoff(s->failures);

	d->verdict = VERDICT_ENOUGH;
	if (need <= 0)
		return;
	if (s->failures && until > in->now) {
		d->verdict = VERDICT_BACKOFF;
		d->retry_at = until;
		return;
	}
	d->verdict = need > more ? VERDICT_FULL : VERDICT_START;
	d->start = need < more ? need : more > 0 ? more : 0;
}

/*
 * The host's room goes out one by one: to the highest priority, among equals
 * to whoever has the fewest.
 */
static void
share(const struct decide *in, const struct order *order,
	struct decision *decisions)
{
	int *granted = xcalloc(in->npools, sizeof(*granted));
	int left = in->host_room;
	size_t k;

	while (left > 0) {
		const struct order *best = NULL;
		int fewest = 0;

		for (k = 0; k < in->npools; k++) {
			size_t i = order[k].i;
			int have = total(&in->supply[i]) + granted[i];

			if (granted[i] >= decisions[i].start)
				continue;
			if (best && best->pool->priority >
					order[k].pool->priority)
				break;
			if (!best || have < fewest) {
				best = &order[k];
				fewest = have;
			}
		}
		if (!best)
			break;
		granted[best->i]++;
		left--;
	}
	for (k = 0; k < in->npools; k++) {
		if (granted[k] < decisions[k].start)
			decisions[k].verdict = VERDICT_HOST_FULL;
		decisions[k].start = granted[k];
	}
	free(granted);
}

int
decide(const struct decide *in, struct decision *decisions)
{
	struct order *order = xcalloc(in->npools, sizeof(*order));
	int unserved = 0;
	size_t i;

	for (i = 0; i < in->npools; i++) {
		order[i] = (struct order){ &in->pools[i], i };
		decisions[i] = (struct decision){ 0 };
	}
	if (in->npools)
		qsort(order, in->npools, sizeof(*order), compare);
	for (i = 0; i < in->ndemand; i++)
		if (!place_demand(in, order, &in->demand[i], decisions))
			unserved += in->demand[i].count;
	for (i = 0; i < in->npools; i++)
		want(in, i, &decisions[i]);
	if (in->host_room >= 0)
		share(in, order, decisions);
	free(order);
	return unserved;
}
