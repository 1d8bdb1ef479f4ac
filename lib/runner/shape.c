#include "lib/runner/shape.h"

#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/pool.h"
#include "lib/base/banned.h"

enum ask { ASK_CPUS, ASK_MEMORY, ASK_IMAGE, ASK__MAX };

static const char *const asks[] = { "forge-cpus=", "forge-memory=",
	"forge-image=" };
_Static_assert(ARRAY_SIZE(asks) == ASK__MAX, "an ask unnamed");

static const int64_t least_memory = 64 << 20;

/* ASK__MAX: not one of them. */
static enum ask
find(const char *label, const char **ret_value)
{
	enum ask a;

	if (strncmp(label, "forge-", 6) != 0)
		return ASK__MAX;
	for (a = ASK_CPUS; a < ASK__MAX; a++) {
		size_t n = strlen(asks[a]);

		if (!strncmp(label, asks[a], n)) {
			*ret_value = label + n;
			return a;
		}
	}
	return ASK__MAX;
}

bool
shape_label(const char *label)
{
	const char *value;

	return find(label, &value) != ASK__MAX;
}

static bool
set_image(const struct pool *pool, const char *value, struct shape *s)
{
	size_t i;

	if (!pool->place || strncmp(pool->place, "vm:", 3) != 0)
		return false;
	for (i = 0; i < pool->allow_images.n; i++)
		if (!strcasecmp(pool->allow_images.v[i], value)) {
			s->image = pool->allow_images.v[i];
			return true;
		}
	return false;
}

static bool
set(const struct pool *pool, enum ask a, const char *value, struct shape *s)
{
	struct err err = ERR_INIT;

	switch (a) {
	case ASK_CPUS:
		return pool->allow_cpus &&
			!parse_int(value, 1, pool->allow_cpus, "cpus",
				&s->cpus, &err);
	case ASK_MEMORY:
		return pool->allow_memory >= least_memory &&
			!parse_size(value, least_memory, pool->allow_memory,
				"memory", &s->memory, &err);
	case ASK_IMAGE:
		return set_image(pool, value, s);
	case ASK__MAX:
		break;
	}
	return true;
}

bool
shape_of(const struct pool *pool, const struct argv *labels,
	struct shape *ret)
{
	bool seen[ASK__MAX] = { false };
	const char *value = NULL;
	size_t i;

	*ret = (struct shape){ pool->cpus, pool->memory, NULL };
	for (i = 0; i < labels->n; i++) {
		enum ask a = find(labels->v[i], &value);

		if (a == ASK__MAX)
			continue;
		if (seen[a] || !set(pool, a, value, ret))
			return false;
		seen[a] = true;
	}
	return true;
}
