#include "lib/runner/decide_internal.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
repo_room(const struct work *w, const struct demand *d)
{
	int max = w->in->repos[d->repo_at].max;
	int more = max - w->held[d->repo_at];

	return max < 0 ? d->count : more > 0 ? more : 0;
}

/* ---- 1: jobs against runners ---- */

/* The runner with the fewest labels that will do. */
static bool
best_crew(const struct work *w, const struct waiter *x, const size_t *scopes,
	size_t nscopes, uint64_t sign, size_t *ret)
{
	bool found = false;
	size_t i, c;

	for (i = 0; i < nscopes; i++)
		for (c = w->m.crews[scopes[i]]; c < w->m.crews[scopes[i] + 1];
			c++) {
			const struct crew *crew = &w->in->crews[c];

			if (crew->ready <= w->matched[c] ||
				sign & ~w->m.crew_signs[c] ||
				!labels_subset(x->d->labels, crew->labels))
				continue;
			if (found &&
				w->in->crews[*ret].labels->n <= crew->labels->n)
				continue;
			*ret = c;
			found = true;
		}
	return found;
}

static void
match(struct work *w, struct waiter *x, const size_t *scopes, size_t nscopes)
{
	uint64_t sign = labels_sign(x->d->labels);
	int room = repo_room(w, x->d);
	size_t c;

	if (room > x->left)
		room = x->left;
	while (room > 0 && best_crew(w, x, scopes, nscopes, sign, &c)) {
		int n = w->in->crews[c].ready - w->matched[c];

		if (n > room)
			n = room;
		w->matched[c] += n;
		w->held[x->d->repo_at] += n;
		w->plan->pools[w->in->crews[c].pool].queued += n;
		x->left -= n;
		room -= n;
	}
}

static int
by_labels(const void *a, const void *b)
{
	const struct waiter *x = a, *y = b;

	if (x->d->labels->n != y->d->labels->n)
		return x->d->labels->n < y->d->labels->n ? 1 : -1;
	return x->d->since < y->d->since ? -1 : x->d->since > y->d->since;
}

/* Which of the pools in scope serve it. */
static void
find_pools(const struct work *w, struct waiter *x, const size_t *scopes,
	size_t nscopes)
{
	size_t i, set;

	x->pools = xcalloc(nscopes + 1, sizeof(*x->pools));
	x->sets = xcalloc(nscopes + 1, sizeof(*x->sets));
	for (i = 0; i < nscopes; i++)
		if (match_pool(&w->m, scopes[i], x->d, x->sign, &set)) {
			x->pools[x->npools] = scopes[i];
			x->sets[x->npools++] = set;
		}
}

void
decide_match(struct work *w)
{
	size_t *scopes = xcalloc(w->in->npools + 1, sizeof(*scopes));
	size_t i;

	w->nwaiters = w->in->ndemand;
	w->waiters = xcalloc(w->nwaiters + 1, sizeof(*w->waiters));
	for (i = 0; i < w->nwaiters; i++)
		w->waiters[i] = (struct waiter){ .d = &w->in->demand[i],
			.left = w->in->demand[i].count,
			.sign = labels_needed(w->in->demand[i].labels) };
	qsort(w->waiters, w->nwaiters, sizeof(*w->waiters), by_labels);
	for (i = 0; i < w->nwaiters; i++) {
		struct waiter *x = &w->waiters[i];
		size_t n = match_scopes(&w->m, x->d, scopes);

		match(w, x, scopes, n);
		if (x->left)
			find_pools(w, x, scopes, n);
	}
	free(scopes);
}
