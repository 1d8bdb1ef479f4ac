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
set_rank(const struct work *w, struct waiter *x)
{
	size_t i = x->pools[x->at], r = x->d->repo_at;
	const struct pool *p = &w->in->pools[i];
	int64_t waited = w->in->now - x->d->since;

	x->rank = p->priority;
	if (w->in->ageing && waited > 0 && (!w->have[i] || !w->held[r]))
		x->rank += waited / w->in->ageing;
	x->pool_share = (int64_t)w->have[i] * 1000 / p->weight;
	x->repo_share = (int64_t)w->held[r] * 1000 / w->in->repos[r].weight;
}

static bool
before(const struct waiter *x, const struct waiter *y)
{
	if (x->rank != y->rank)
		return x->rank > y->rank;
	if (x->pool_share != y->pool_share)
		return x->pool_share < y->pool_share;
	if (x->repo_share != y->repo_share)
		return x->repo_share < y->repo_share;
	return x->d->since != y->d->since ? x->d->since < y->d->since :
					    x->d < y->d;
}

static void
heap_swap(struct work *w, size_t i, size_t k)
{
	struct waiter *x = w->heap[i];

	w->heap[i] = w->heap[k];
	w->heap[k] = x;
}

static void
heap_push(struct work *w, struct waiter *x)
{
	size_t i = w->nheap++;

	set_rank(w, x);
	w->heap[i] = x;
	for (; i && before(w->heap[i], w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(w, i, (i - 1) / 2);
}

static struct waiter *
heap_pop(struct work *w)
{
	struct waiter *x = w->heap[0];
	size_t i = 0;

	w->heap[0] = w->heap[--w->nheap];
	for (;;) {
		size_t k = 2 * i + 1;

		if (k + 1 < w->nheap && before(w->heap[k + 1], w->heap[k]))
			k++;
		if (k >= w->nheap || !before(w->heap[k], w->heap[i]))
			return x;
		heap_swap(w, i, k);
		i = k;
	}
}

/* Its turn came by a rank that grants since then may have made too good. */
static bool
stale(const struct work *w, struct waiter *x)
{
	struct waiter was = *x;

	set_rank(w, x);
	return before(&was, x);
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
	if (place_is_agent(p->place))
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
waiter_refused(const struct work *w, const struct waiter *x, size_t k)
{
	size_t i = x->pools[k];
	const struct pool *p = &w->in->pools[i];
	enum verdict v = pool_refuses(w, i);
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
	if (!place_is_agent(w->in->pools[pool].place))
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
		shape_of(p, x->d->labels, &s) && room_fits(p, &s, &w->in->whole)) {
		w->room.cpus = 0;
		w->room.memory = 0;
	}
}

static void
serve_all(struct work *w)
{
	const struct waiter *last = NULL;
	size_t last_pool = 0;

	while (w->nheap) {
		struct waiter *x = heap_pop(w);

		if (stale(w, x)) {
			heap_push(w, x);
			continue;
		}
		x->refused = waiter_refused(w, x, x->at);
		if (x->refused == VERDICT_START) {
			size_t i = x->pools[x->at];

			grant_start(w, i, x->sets[x->at], x->d->labels,
				x == last && i == last_pool);
			last = x;
			last_pool = i;
			w->plan->pools[i].queued++;
			w->held[x->d->repo_at]++;
			if (--x->left)
				heap_push(w, x);
		} else if (x->at + 1 < x->npools) {
			x->at++;
			heap_push(w, x);
		} else {
			refused(w, x);
		}
	}
}

static void
queue_all(struct work *w)
{
	size_t i;

	w->heap = xcalloc(w->nwaiters + 1, sizeof(struct waiter *));
	for (i = 0; i < w->nwaiters; i++) {
		struct waiter *x = &w->waiters[i];

		if (x->left && x->npools)
			heap_push(w, x);
		else
			w->plan->unserved += x->left;
	}
}

void
decide_serve(struct work *w)
{
	queue_all(w);
	serve_all(w);
}
