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

/* The pools whose scope covers one demand. */
struct scopes {
	size_t *v;
	size_t n;
	uint64_t sign; /* of the demand's labels */
};

int
crew_unused(const struct work *w, size_t c)
{
	const struct crew *crew = &w->in->crews[c];
	int matched = w->matched[c] - crew->ghosts;

	return crew->ready - (matched > 0 ? matched : 0);
}

/* Runners without a job yet, of the crew; those kept ready come last. */
static int
free_of(const struct work *w, const struct demand *d, size_t c, bool reserve)
{
	const struct crew *crew = &w->in->crews[c];
	int keep = !reserve && crew_is_reserve(w, c) ?
		w->in->pools[crew->pool].min_idle :
		0;

	if (d->since > crew->ghosts_at)
		return crew_unused(w, c) - keep;
	return crew->ready + crew->ghosts - w->matched[c] - keep;
}

/* The runner with the fewest labels that will do. */
static bool
best_crew(const struct work *w, const struct waiter *x,
	const struct scopes *scopes, bool reserve, size_t *ret)
{
	bool found = false;
	size_t i, c;

	for (i = 0; i < scopes->n; i++)
		for (c = w->m.crews[scopes->v[i]];
			c < w->m.crews[scopes->v[i] + 1]; c++) {
			const struct argv *has = w->in->crews[c].labels;

			if (scopes->sign & ~w->m.crew_signs[c] ||
				free_of(w, x->d, c, reserve) <= 0 ||
				!labels_subset(x->d->labels, has))
				continue;
			if (found && w->in->crews[*ret].labels->n <= has->n)
				continue;
			*ret = c;
			found = true;
		}
	return found;
}

static void
match(struct work *w, struct waiter *x, const struct scopes *scopes)
{
	int room = repo_room(w, x->d), reserve;
	size_t c = 0;

	if (room > x->left)
		room = x->left;
	for (reserve = 0; reserve < 2; reserve++)
		while (room > 0 && best_crew(w, x, scopes, reserve, &c)) {
			int n = free_of(w, x->d, c, reserve);

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

/* Which of the pools in scope serve it; on agents each label set may. */
static void
find_pools(const struct work *w, struct waiter *x,
	const struct scopes *scopes)
{
	size_t i, set, n = 0;

	for (i = 0; i < scopes->n; i++)
		n += w->rooms[scopes->v[i]] ?
			w->in->pools[scopes->v[i]].nsets :
			1;
	x->pools = xcalloc(n + 1, sizeof(*x->pools));
	x->sets = xcalloc(n + 1, sizeof(*x->sets));
	for (i = 0; i < scopes->n; i++) {
		size_t pool = scopes->v[i];

		for (set = 0;
			match_pool(&w->m, pool, x->d, x->sign, &set); set++) {
			x->pools[x->npools] = pool;
			x->sets[x->npools++] = set;
			if (!w->rooms[pool])
				break;
		}
	}
}

void
decide_match(struct work *w)
{
	struct scopes scopes = {
		.v = xcalloc(w->in->npools + 1, sizeof(*scopes.v)) };
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

		scopes.n = match_scopes(&w->m, x->d, scopes.v);
		scopes.sign = labels_sign(x->d->labels);
		match(w, x, &scopes);
		if (x->left)
			find_pools(w, x, &scopes);
	}
	free(scopes.v);
}
