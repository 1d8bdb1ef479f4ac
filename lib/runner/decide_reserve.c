#include "lib/runner/decide_internal.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* ---- who waits in vain, and for what ---- */

struct vain {
	int *pool; /* jobs that wait for room in each pool */
	int host; /* jobs that wait for room on the host */
};

static void
tell_pool(struct work *w, size_t i, enum verdict v)
{
	struct decision *d = &w->plan->pools[i];

	d->verdict = v;
	if (v == VERDICT_BACKOFF)
		d->retry_at = backoff_until(&w->in->supply[i]);
	if (v == VERDICT_BARRED)
		d->retry_at = w->in->supply[i].barred_until;
}

/* It counts for the first pool, so that it is seen to wait there. */
static void
count_waiting(struct work *w, struct vain *vain)
{
	size_t i, k;

	for (i = 0; i < w->nwaiters; i++) {
		const struct waiter *x = &w->waiters[i];

		if (!x->left || !x->npools)
			continue;
		w->plan->pools[x->pools[0]].queued += x->left;
		for (k = 0; k < x->npools; k++) {
			enum verdict v = waiter_refused(w, x, k);

			if (k && x->pools[k] == x->pools[k - 1])
				continue; /* another label set of it */
			if (v == VERDICT_FULL)
				vain->pool[x->pools[k]] += x->left;
			if (v == VERDICT_HOST_FULL)
				vain->host += x->left;
			if (!k || v == VERDICT_BACKOFF || v == VERDICT_BARRED)
				tell_pool(w, x->pools[k], v);
		}
	}
}

/* ---- 3 and 4: runners to keep ready, and those too many ---- */

bool
crew_is_reserve(const struct work *w, size_t c)
{
	const struct crew *crew = &w->in->crews[c];
	const struct pool *p = &w->in->pools[crew->pool];

	return p->nsets && crew->labels->n == p->sets[0].n &&
		labels_subset(crew->labels, &p->sets[0]);
}

static void
fill_reserve(struct work *w, size_t i)
{
	const struct pool *p = &w->in->pools[i];
	const struct argv nothing = ARGV_INIT;
	struct decision *d = &w->plan->pools[i];
	struct shape s = { p->cpus, p->memory, NULL };
	int need = p->min_idle;
	bool more = false;
	size_t c;

	for (c = w->m.crews[i]; c < w->m.crews[i + 1]; c++)
		if (crew_is_reserve(w, c))
			need -= crew_unused(w, c);
	for (; need > 0 && p->nsets; need--) {
		enum verdict v = set_refuses(w, i, 0);

		if (v == VERDICT_START && !room_fits(p, &s, &w->room))
			v = VERDICT_HOST_FULL;
		if (v != VERDICT_START) {
			if (d->verdict == VERDICT_ENOUGH)
				tell_pool(w, i, v);
			break;
		}
		grant_start(w, i, 0, &nothing, more);
		more = true;
	}
	if (d->start && d->verdict == VERDICT_ENOUGH)
		d->verdict = VERDICT_START;
}

static void
give_up(struct work *w, struct vain *vain, size_t c, int n)
{
	size_t i = w->in->crews[c].pool;
	int left = w->in->crews[c].spare - w->plan->remove[c];

	if (n > left)
		n = left;
	if (n <= 0)
		return;
	w->plan->remove[c] += n;
	w->plan->pools[i].remove += n;
	vain->pool[i] -= n < vain->pool[i] ? n : vain->pool[i];
	vain->host -= n < vain->host ? n : vain->host;
}

static void
find_surplus(struct work *w, struct vain *vain)
{
	size_t c;

	for (c = 0; c < w->in->ncrews; c++) {
		int extra = crew_unused(w, c);
		int keep = crew_is_reserve(w, c) ?
			w->in->pools[w->in->crews[c].pool].min_idle :
			0;

		give_up(w, vain, c, extra - keep);
	}
	for (c = 0; c < w->in->ncrews; c++) {
		int extra = crew_unused(w, c) - w->plan->remove[c];
		int in_pool = vain->pool[w->in->crews[c].pool];
		int wanted = in_pool > vain->host ? in_pool : vain->host;

		give_up(w, vain, c, extra < wanted ? extra : wanted);
	}
}

void
decide_reserve(struct work *w)
{
	struct vain vain = { .pool = xcalloc(w->in->npools + 1, sizeof(int)) };
	size_t *order = xcalloc(w->in->npools + 1, sizeof(*order)), i;

	count_waiting(w, &vain);
	if (vain.host) /* what is kept ready takes no room from jobs */
		w->room.vms = 0;
	for (i = 0; i < w->in->npools; i++)
		order[w->m.scoped[i].rank] = w->m.scoped[i].pool;
	for (i = 0; i < w->in->npools; i++)
		fill_reserve(w, order[i]);
	find_surplus(w, &vain);
	free(order);
	free(vain.pool);
}
