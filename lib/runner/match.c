#include "lib/runner/match.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* FNV-1a, of lower case. */
static uint64_t
hash(uint64_t h, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)tolower((unsigned char)s[i])) *
			1099511628211u;
	return h;
}

static uint64_t
hash_scope(const char *kind, const char *name, size_t n)
{
	return hash(hash(14695981039346656037u, kind, strlen(kind)), name, n);
}

/* ---- labels ---- */

uint64_t
labels_sign(const struct argv *labels)
{
	uint64_t sign = 0;
	size_t i;

	for (i = 0; i < labels->n; i++)
		sign |= (uint64_t)1 << (hash_scope("", labels->v[i],
						strlen(labels->v[i])) >> 58);
	return sign;
}

bool
labels_subset(const struct argv *part, const struct argv *whole)
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

/* What asks for a shape is not in a pool's sets: the pool allows it. */
static bool
set_serves(const struct argv *labels, const struct argv *set)
{
	size_t i, j = 0;

	for (i = 0; i < labels->n; i++) {
		if (shape_label(labels->v[i]))
			continue;
		while (j < set->n && strcmp(set->v[j], labels->v[i]) < 0)
			j++;
		if (j == set->n || strcmp(set->v[j], labels->v[i]) != 0)
			return false;
	}
	return true;
}

static bool
any_set_serves(const struct pool *p, const uint64_t *signs,
	const struct argv *labels, uint64_t sign, size_t *ret_set)
{
	struct shape shape;
	size_t i;

	for (i = *ret_set; i < p->nsets; i++)
		if (!(sign & ~signs[i]) && set_serves(labels, &p->sets[i])) {
			*ret_set = i;
			return shape_of(p, labels, &shape);
		}
	return false;
}

uint64_t
labels_needed(const struct argv *labels)
{
	uint64_t sign = 0;
	size_t i;

	for (i = 0; i < labels->n; i++)
		if (!shape_label(labels->v[i])) {
			struct argv one = { .v = &labels->v[i], .n = 1 };

			sign |= labels_sign(&one);
		}
	return sign;
}

/* ---- scopes ---- */

static bool
scope_covers(const char *scope, const struct demand *d)
{
	const char *name = strchr(scope, ':') + 1, *repo = d->repo;
	size_t owner = strcspn(repo, "/");

	if (!strncmp(scope, "repo:", 5))
		return !strcasecmp(name, repo);
	if (!strncmp(scope, "org:", 4))
		return strlen(name) == owner &&
			!strncasecmp(name, repo, owner);
	return d->enterprise && !strcasecmp(name, d->enterprise);
}

bool
pool_serves(const struct pool *pool, const struct demand *d, size_t *ret_set)
{
	uint64_t *signs = xcalloc(pool->nsets + 1, sizeof(*signs));
	bool yes;

	*ret_set = 0;
	yes = scope_covers(pool->scope, d) &&
		any_set_serves(pool, signs, d->labels, 0, ret_set);

	free(signs);
	return yes;
}

bool
match_pool(const struct matcher *m, size_t pool, const struct demand *d,
	uint64_t sign, size_t *ret_set)
{
	return any_set_serves(&m->in->pools[pool], m->set_signs[pool],
		d->labels, sign, ret_set);
}

/* Where the entries of this scope begin. */
static size_t
lower_bound(const struct matcher *m, uint64_t h)
{
	size_t low = 0, high = m->in->npools;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->scoped[mid].hash < h)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct found {
	const struct scoped *v;
	size_t n;
};

static struct found
find_scope(const struct matcher *m, const struct demand *d, const char *kind,
	const char *name, size_t len)
{
	uint64_t h = hash_scope(kind, name, len);
	size_t i = lower_bound(m, h), k = i;

	while (k < m->in->npools && m->scoped[k].hash == h &&
		scope_covers(m->in->pools[m->scoped[k].pool].scope, d))
		k++;
	return (struct found){ m->scoped + i, k - i };
}

size_t
match_scopes(const struct matcher *m, const struct demand *d, size_t *ret)
{
	const char *repo = d->repo;
	struct found f[3] = {
		find_scope(m, d, "repo:", repo, strlen(repo)),
		find_scope(m, d, "org:", repo, strcspn(repo, "/")),
	};
	size_t n = 0;

	if (d->enterprise)
		f[2] = find_scope(m, d, "enterprise:", d->enterprise,
			strlen(d->enterprise));
	for (;;) { /* three sorted lists into one */
		struct found *best = NULL;
		size_t i;

		for (i = 0; i < ARRAY_SIZE(f); i++)
			if (f[i].n && (!best || f[i].v->rank < best->v->rank))
				best = &f[i];
		if (!best)
			return n;
		ret[n++] = best->v->pool;
		best->v++;
		best->n--;
	}
}

/* ---- beginning and end ---- */

static int
by_priority(const void *a, const void *b, void *arg)
{
	const struct pool *pools = arg;
	const struct pool *x = &pools[((const struct scoped *)a)->pool];
	const struct pool *y = &pools[((const struct scoped *)b)->pool];

	if (x->priority != y->priority)
		return x->priority < y->priority ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int
by_hash(const void *a, const void *b)
{
	const struct scoped *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void
sort_pools(struct matcher *m)
{
	size_t n = m->in->npools, i;

	m->scoped = xcalloc(n + 1, sizeof(*m->scoped));
	for (i = 0; i < n; i++) {
		const char *scope = m->in->pools[i].scope;

		m->scoped[i].pool = i;
		m->scoped[i].hash = hash_scope("", scope, strlen(scope));
	}
	qsort_r(m->scoped, n, sizeof(*m->scoped), by_priority,
		(void *)(uintptr_t)m->in->pools);
	for (i = 0; i < n; i++)
		m->scoped[i].rank = (uint32_t)i;
	qsort(m->scoped, n, sizeof(*m->scoped), by_hash);
}

void
matcher_init(struct matcher *m, const struct decide *in)
{
	size_t i, k, c = 0;

	*m = (struct matcher){ .in = in };
	sort_pools(m);
	m->crews = xcalloc(in->npools + 1, sizeof(*m->crews));
	m->crew_signs = xcalloc(in->ncrews + 1, sizeof(*m->crew_signs));
	m->set_signs = xcalloc(in->npools + 1, sizeof(*m->set_signs));
	for (i = 0; i < in->npools; i++) {
		const struct pool *p = &in->pools[i];

		m->crews[i] = c;
		while (c < in->ncrews && in->crews[c].pool == i)
			c++;
		m->set_signs[i] = xcalloc(p->nsets + 1, sizeof(uint64_t));
		for (k = 0; k < p->nsets; k++)
			m->set_signs[i][k] = labels_sign(&p->sets[k]);
	}
	m->crews[in->npools] = c;
	for (i = 0; i < in->ncrews; i++)
		m->crew_signs[i] = labels_sign(in->crews[i].labels);
}

void
matcher_release(struct matcher *m)
{
	size_t i;

	for (i = 0; i < m->in->npools; i++)
		free(m->set_signs[i]);
	free(m->set_signs);
	free(m->crew_signs);
	free(m->crews);
	free(m->scoped);
}
