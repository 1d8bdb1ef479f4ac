#include "lib/state/config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/banned.h"

/* By key, so that what was and what is stand together. */
static int
compare(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	size_t m = strcspn(*x, "="), n = strcspn(*y, "=");
	int rc = memcmp(*x, *y, m < n ? m : n);

	if (!rc && m != n)
		rc = m < n ? -1 : 1;
	return rc ? rc : strcmp(*x, *y);
}

static void
sort(struct argv *a)
{
	if (a->n)
		qsort(a->v, a->n, sizeof(*a->v), compare);
}

/* The settings of one key, in a or b, as lines. */
static void
add_key(const struct argv *a, size_t *i, const char *key, size_t len,
	const struct argv *other, size_t at, char sign, struct argv *ret)
{
	for (; *i < a->n && !strncmp(a->v[*i], key, len); (*i)++) {
		size_t k = at;

		while (k < other->n && !strncmp(other->v[k], key, len) &&
			strcmp(other->v[k], a->v[*i]) != 0)
			k++;
		if (k == other->n || strncmp(other->v[k], key, len) != 0)
			argv_pushf(ret, "%c%s", sign, a->v[*i]);
	}
}

void
config_diff(struct argv *a, struct argv *b, struct argv *ret)
{
	size_t i = 0, k = 0;

	sort(a);
	sort(b);
	while (i < a->n || k < b->n) {
		bool first = k == b->n ||
			(i < a->n && compare(&a->v[i], &b->v[k]) <= 0);
		const char *key = first ? a->v[i] : b->v[k];
		size_t len = strcspn(key, "=") + 1, from = i, to = k;

		add_key(a, &i, key, len, b, to, '-', ret);
		add_key(b, &k, key, len, a, from, '+', ret);
	}
}
