#include "lib/runner/decide_internal.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const char *const verdicts[] = {
	[VERDICT_ENOUGH] = "enough",
	[VERDICT_START] = "start",
	[VERDICT_FULL] = "pool full",
	[VERDICT_REPO_FULL] = "repository full",
	[VERDICT_HOST_FULL] = "host full",
	[VERDICT_BACKOFF] = "backing off",
	[VERDICT_BARRED] = "runner too old",
	[VERDICT_AGENTS_FULL] = "agents full",
};
_Static_assert(ARRAY_SIZE(verdicts) == VERDICT__MAX, "a verdict unnamed");

const char *
verdict_name(enum verdict v)
{
	return verdicts[v];
}

static void
copy_rooms(struct work *w, size_t i)
{
	const struct pool *p = &w->in->pools[i];
	size_t k;

	if (!p->room)
		return;
	w->rooms[i] = xcalloc(p->nsets, sizeof(int));
	for (k = 0; k < p->nsets; k++)
		w->rooms[i][k] = p->room[k];
}

static void
work_init(struct work *w)
{
	const struct decide *in = w->in;
	size_t i;

	w->plan->pools = xcalloc(in->npools + 1, sizeof(*w->plan->pools));
	w->plan->remove = xcalloc(in->ncrews + 1, sizeof(*w->plan->remove));
	w->matched = xcalloc(in->ncrews + 1, sizeof(*w->matched));
	w->have = xcalloc(in->npools + 1, sizeof(*w->have));
	w->held = xcalloc(in->nrepos + 1, sizeof(*w->held));
	w->rooms = xcalloc(in->npools + 1, sizeof(int *));
	for (i = 0; i < in->npools; i++) {
		const struct supply *s = &in->supply[i];

		w->have[i] = s->starting + s->idle + s->busy + s->ending;
		copy_rooms(w, i);
	}
	for (i = 0; i < in->nrepos; i++)
		w->held[i] = in->repos[i].busy;
	matcher_init(&w->m, in);
}

static void
work_release(struct work *w)
{
	size_t i;

	for (i = 0; i < w->nwaiters; i++) {
		free(w->waiters[i].pools);
		free(w->waiters[i].sets);
	}
	free(w->waiters);
	free(w->heap);
	free(w->matched);
	free(w->have);
	free(w->held);
	for (i = 0; i < w->in->npools; i++)
		free(w->rooms[i]);
	free(w->rooms);
	matcher_release(&w->m);
}

void
decide(const struct decide *in, struct plan *ret)
{
	struct work w = { .in = in, .plan = ret, .room = in->room };

	*ret = PLAN_INIT;
	work_init(&w);
	decide_match(&w);
	decide_serve(&w);
	decide_reserve(&w);
	work_release(&w);
}

void
plan_release(struct plan *p)
{
	size_t i;

	for (i = 0; i < p->nstarts; i++)
		argv_release(&p->starts[i].labels);
	free(p->starts);
	free(p->remove);
	free(p->pools);
	*p = PLAN_INIT;
}
