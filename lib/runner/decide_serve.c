#include "lib/runner/decide_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/runner/place.h"
#include "lib/base/banned.h"

#define PATIENCE 5 /* times ageing, before room is kept for a job */

/* ---- the queue of those that wait ---- */

/*
 * Ageing is for those that have nothing: among those that have something, it
 * would make the longest queue the first for ever.
 */
static void
reckon(const struct work *w, struct turn *t)
{
	const struct pool *p = &w->in->pools[t->pool];
	int64_t waited = w->in->now - t->since;

	t->rank = p->priority;
	if (w->in->ageing && waited > 0 &&
		(!w->have[t->pool] || !w->held[t->repo]))
		t->rank += waited / w->in->ageing;
	t->pool_share = (int64_t)w->have[t->pool] * 1000 / p->weight;
	t->repo_share = (int64_t)w->held[t->repo] * 1000 /
		w->in->repos[t->repo].weight;
}

static struct turn
turn_of(const struct work *w, struct waiter *x)
{
	struct turn t = { .x = x, .since = x->d->since,
		.pool = (uint32_t)x->pools[x->at],
		.repo = (uint32_t)x->d->repo_at };

	reckon(w, &t);
	return t;
}

static bool
before(const struct turn *a, const struct turn *b)
{
	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (a->pool_share != b->pool_share)
		return a->pool_share < b->pool_share;
	if (a->repo_share != b->repo_share)
		return a->repo_share < b->repo_share;
	return a->since != b->since ? a->since < b->since :
				      a->x->d < b->x->d;
}

/* Into the heap from i downwards, whose place is free. */
static void
sink(struct work *w, size_t i, struct turn t)
{
	size_t k;

	while ((k = 2 * i + 1) < w->nheap) {
		if (k + 1 < w->nheap &&
			before(&w->heap[k + 1], &w->heap[k]))
			k++;
		if (!before(&w->heap[k], &t))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = t;
}

/* ---- 2: those that wait against what the caps leave ---- */

static bool
in_vm(const struct pool *p)
{
	return p->place && !strncmp(p->place, "vm:", 3);
}

bool
room_fits(const struct pool *p, const struct shape *s, const struct room *room)
{
	if (place_is_far(p->place))
		return true; /* another host's room: the pool's max has it */
	return room->vms > 0 &&
		(!in_vm(p) ||
			(room->cpus >= s->cpus && room->memory >= s->memory));
}

static void
take(int64_t *room, int64_t n)
{
	if (*room != NO_LIMIT)
		*room -= n;
}

int64_t
backoff_until(const struct supply *s)
{
	static const int seconds[] = { 0, 5, 10, 20, 40, 80 };
	size_t n = ARRAY_SIZE(seconds), i = (size_t)s->failures;

	if (s->failures <= 0)
		return 0;
	return s->failed_at + (int64_t)1000 * seconds[i > n ? n - 1 : i - 1];
}

enum verdict
pool_refuses(const struct work *w, size_t i)
{
	const struct supply *s = &w->in->supply[i];

	if (s->barred_until > w->in->now)
		return VERDICT_BARRED;
	if (backoff_until(s) > w->in->now)
		return VERDICT_BACKOFF;
	return w->have[i] >= w->in->pools[i].max ? VERDICT_FULL :
						   VERDICT_START;
}

enum verdict
set_refuses(const struct work *w, size_t pool, size_t set)
{
	enum verdict v = pool_refuses(w, pool);

	return v == VERDICT_START && w->rooms[pool] &&
			w->rooms[pool][set] <= 0 ?
		VERDICT_AGENTS_FULL :
		v;
}

/* An agent that has these labels also serves those who ask for fewer. */
static void
take_rooms(struct work *w, size_t pool, size_t set)
{
	const struct pool *p = &w->in->pools[pool];
	size_t k;

	for (k = 0; w->rooms[pool] && k < p->nsets; k++)
		w->rooms[pool][k] -= labels_subset(&p->sets[k], &p->sets[set]);
}

enum verdict
waiter_refused(const struct work *w, const struct waiter *x, size_t k)
{
	size_t i = x->pools[k];
	const struct pool *p = &w->in->pools[i];
	enum verdict v = set_refuses(w, i, x->sets[k]);
	struct shape s;

	if (!repo_room(w, x->d))
		return VERDICT_REPO_FULL;
	if (v != VERDICT_START)
		return v;
	return shape_of(p, x->d->labels, &s) && room_fits(p, &s, &w->room) ?
		VERDICT_START :
		VERDICT_HOST_FULL;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The set, and what the job asks beyond it. */
static void
add_start(struct work *w, size_t pool, size_t set, const struct argv *ask)
{
	struct plan *plan = w->plan;
	struct start *s;
	size_t i;

	plan->starts = xreallocarray(plan->starts, plan->nstarts + 1,
		sizeof(*plan->starts));
	s = &plan->starts[plan->nstarts++];
	*s = (struct start){ .pool = pool, .labels = ARGV_INIT };
	argv_pushv(&s->labels,
		(const char *const *)w->in->pools[pool].sets[set].v);
	for (i = 0; i < ask->n; i++)
		if (shape_label(ask->v[i]))
			argv_push(&s->labels, ask->v[i]);
	qsort(s->labels.v, s->labels.n, sizeof(*s->labels.v), compare);
	(void)shape_of(&w->in->pools[pool], ask, &s->shape); /* it fitted */
}

void
grant_start(struct work *w, size_t pool, size_t set, const struct argv *ask,
	bool more)
{
	struct start *s;

	if (!more)
		add_start(w, pool, set, ask);
	s = &w->plan->starts[w->plan->nstarts - 1];
	s->count++;
	w->plan->pools[pool].start++;
	w->have[pool]++;
	take_rooms(w, pool, set);
	if (!place_is_far(w->in->pools[pool].place))
		take(&w->room.vms, 1);
	if (in_vm(&w->in->pools[pool])) {
		take(&w->room.cpus, s->shape.cpus);
		take(&w->room.memory, s->shape.memory);
	}
}

/*
 * Nobody has room for it.  When it waited long for room on the host that
 * smaller ones would take again and again, nobody behind it gets any.
 */
static void
refused(struct work *w, const struct waiter *x)
{
	const struct pool *p = &w->in->pools[x->pools[x->at]];
	struct shape s;

	if (w->in->ageing &&
		w->in->now - x->d->since >= PATIENCE * w->in->ageing &&
		x->refused == VERDICT_HOST_FULL &&
		shape_of(p, x->d->labels, &s) &&
		room_fits(p, &s, &w->in->whole)) {
		w->room.cpus = 0;
		w->room.memory = 0;
	}
}

/* Does it wait on, here or for its next pool? */
static bool
serve_one(struct work *w, struct waiter *x, const struct waiter **last,
	size_t *last_pool)
{
	size_t i = x->pools[x->at];

	x->refused = waiter_refused(w, x, x->at);
	if (x->refused == VERDICT_START) {
		grant_start(w, i, x->sets[x->at], x->d->labels,
			x == *last && i == *last_pool);
		*last = x;
		*last_pool = i;
		w->plan->pools[i].queued++;
		w->held[x->d->repo_at]++;
		return --x->left;
	}
	if (x->at + 1 < x->npools) {
		x->at++;
		return true;
	}
	refused(w, x);
	return false;
}

/*
 * What was granted since its turn was reckoned may have put it back.  Who
 * waits on stays first until it sinks: cheaper than out and in again.
 */
static void
serve_all(struct work *w)
{
	const struct waiter *last = NULL;
	size_t last_pool = 0;

	while (w->nheap) {
		struct turn t = w->heap[0];

		reckon(w, &t);
		if (before(&w->heap[0], &t))
			sink(w, 0, t);
		else if (serve_one(w, t.x, &last, &last_pool))
			sink(w, 0, turn_of(w, t.x));
		else if (--w->nheap)
			sink(w, 0, w->heap[w->nheap]);
	}
}

static void
queue_all(struct work *w)
{
	size_t i;

	w->heap = xcalloc(w->nwaiters + 1, sizeof(*w->heap));
	for (i = 0; i < w->nwaiters; i++) {
		struct waiter *x = &w->waiters[i];

		if (x->left && x->npools)
			w->heap[w->nheap++] = turn_of(w, x);
		else
			w->plan->unserved += x->left;
	}
	for (i = w->nheap / 2; i-- > 0;)
		sink(w, i, w->heap[i]);
}

void
decide_serve(struct work *w)
{
	queue_all(w);
	serve_all(w);
}
