#include "lib/runner/pool.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/github.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LABELS_MAX 100 /* GitHub's own limit per runner */
#define LABEL_MAX 256

static const int64_t minute = 60 * 1000;
static const int64_t mib = 1 << 20;

void
pool_release(struct pool *p)
{
	free(p->name);
	free(p->github);
	free(p->scope);
	pool_clear_labels(p);
	free(p->place);
	argv_release(&p->allow_images);
	free(p->command);
	free(p->group);
	free(p->prefix);
	free(p->scale_set);
	argv_release(&p->scale_labels);
	*p = POOL_INIT;
}

void
pools_release(struct pools *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		pool_release(&p->v[i]);
	free(p->v);
	*p = (struct pools){ 0 };
}

void
pool_defaults(struct pool *ret)
{
	*ret = POOL_INIT;
	ret->cpus = 2;
	ret->memory = 2048 * mib;
	ret->max = 4;
	ret->weight = 1;
	ret->boot_timeout = 5 * minute;
	ret->idle_timeout = 30 * minute;
	ret->register_timeout = 2 * minute;
	ret->job_timeout = 360 * minute;
	ret->prefix = xstrdup("forge");
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
pool_clear_labels(struct pool *p)
{
	size_t i;

	for (i = 0; i < p->nsets; i++)
		argv_release(&p->sets[i]);
	free(p->sets);
	free(p->room);
	p->sets = NULL;
	p->room = NULL;
	p->nsets = 0;
}

/* One label in place: white space around it off, lower case. */
static int
normalize(char *s, struct err *err)
{
	size_t n = strspn(s, " \t");
	char *p;

	memmove(s, s + n, strlen(s + n) + 1);
	for (n = strlen(s); n && strchr(" \t", s[n - 1]); n--)
		s[n - 1] = '\0';
	if (!n || n > LABEL_MAX)
		return err_set(err, ERR_USAGE,
			"label '%.80s': a label has 1 to %d bytes", s,
			LABEL_MAX);
	for (p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

int
pool_add_labels(struct pool *p, const char *list, struct err *err)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	struct argv set = ARGV_INIT;
	size_t i;

	argv_splitc(&parts, list, ',');
	if (!parts.n || parts.n > LABELS_MAX)
		return err_set(err, ERR_USAGE,
			"labels '%.100s': 1 to %d of them are needed", list,
			LABELS_MAX);
	for (i = 0; i < parts.n; i++)
		if (normalize(parts.v[i], err))
			return -1;
	qsort(parts.v, parts.n, sizeof(*parts.v), compare);
	for (i = 0; i < parts.n; i++)
		if (!i || strcmp(parts.v[i - 1], parts.v[i]) != 0)
			argv_push(&set, parts.v[i]);
	p->sets = xreallocarray(p->sets, p->nsets + 1, sizeof(*p->sets));
	p->sets[p->nsets++] = set;
	return 0;
}

static struct json *
label_set(const struct argv *set)
{
	struct json *a = json_array();
	size_t i;

	for (i = 0; i < set->n; i++)
		json_push_str(a, set->v[i]);
	return a;
}

char *
labels_json(const struct argv *set)
{
	CLEANUP_JSON struct json *a = label_set(set);

	return json_text(a);
}

struct json *
pool_label_sets(const struct pool *p)
{
	struct json *sets = json_array();
	size_t i;

	for (i = 0; i < p->nsets; i++)
		json_push(sets, label_set(&p->sets[i]));
	return sets;
}

static void
set_string(char **field, struct config *c, const char *name, const char *key)
{
	const char *s = config_str(c, "pool", name, key, NULL);

	if (s) {
		free(*field);
		*field = xstrdup(s);
	}
}

static int
load_int(struct config *c, const char *name, const char *key, int min,
	int *field, struct err *err)
{
	int64_t n;

	if (config_int(c, "pool", name, key, *field, &n, err))
		return -1;
	if (n < min || n > 1000000)
		return err_set(err, ERR_INVALID,
			"pool '%s': %s is not between %d and 1000000", name,
			key, min);
	*field = (int)n;
	return 0;
}

static int
load_durations(struct config *c, struct pool *p, struct err *err)
{
	const struct {
		const char *key;
		int64_t *field;
	} keys[] = {
		{ "boot-timeout", &p->boot_timeout },
		{ "register-timeout", &p->register_timeout },
		{ "idle-timeout", &p->idle_timeout },
		{ "job-timeout", &p->job_timeout },
		{ "hold-on-failure", &p->hold },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (config_duration(c, "pool", p->name, keys[i].key,
			    *keys[i].field, keys[i].field, err))
			return -1;
	return 0;
}

static int
load_numbers(struct config *c, struct pool *p, struct err *err)
{
	const char *n = p->name;

	if (load_int(c, n, "cpus", 1, &p->cpus, err) ||
		load_int(c, n, "min-idle", 0, &p->min_idle, err) ||
		load_int(c, n, "max", 0, &p->max, err) ||
		load_int(c, n, "priority", -1000000, &p->priority, err) ||
		load_int(c, n, "weight", 1, &p->weight, err) ||
		load_int(c, n, "allow-cpus", 0, &p->allow_cpus, err) ||
		config_size(c, "pool", n, "allow-memory", 0, &p->allow_memory,
			err) ||
		config_size(c, "pool", n, "memory", p->memory, &p->memory,
			err))
		return -1;
	return load_durations(c, p, err);
}

static int
load_labels(struct config *c, struct pool *p, struct err *err)
{
	CLEANUP_ARGV struct argv sets = ARGV_INIT;
	size_t i;

	config_all(c, "pool", p->name, "labels", &sets);
	for (i = 0; i < sets.n; i++)
		if (pool_add_labels(p, sets.v[i], err))
			return err_wrap(err, "pool '%s'", p->name);
	return 0;
}

static void
load_images(struct config *c, struct pool *p)
{
	const char *s = config_str(c, "pool", p->name, "allow-images", "");
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	size_t i;

	argv_splitc(&parts, s, ',');
	for (i = 0; i < parts.n; i++)
		argv_split(&p->allow_images, parts.v[i]); /* no white space */
}

static int
check(const struct pool *p, struct err *err)
{
	if (!p->scope)
		return err_set(err, ERR_INVALID,
			"pool '%s' has no scope (repo:OWNER/NAME or org:NAME)",
			p->name);
	if (scope_check(p->scope, err))
		return err_wrap(err, "pool '%s'", p->name);
	if (!p->nsets)
		return err_set(err, ERR_INVALID, "pool '%s' has no labels",
			p->name);
	if (!p->place)
		return err_set(err, ERR_INVALID,
			"pool '%s' has no place (vm:IMAGE, garm:NAME, bwrap, here, "
			"or a [place])",
			p->name);
	return parse_name(p->prefix, "prefix", err) ?
		err_wrap(err, "pool '%s'", p->name) :
		0;
}

/* Jobs of a scale set come with one label of ours: see scaleset.h. */
static int
load_scale_set(struct config *c, struct pool *p, struct err *err)
{
	CLEANUP_FREE char *label = NULL;
	size_t i;

	set_string(&p->scale_set, c, p->name, "scale-set");
	if (!p->scale_set)
		return 0;
	if (parse_name(p->scale_set, "scale-set", err))
		return err_wrap(err, "pool '%s'", p->name);
	for (i = 0; p->nsets && i < p->sets[0].n; i++)
		argv_push(&p->scale_labels, p->sets[0].v[i]);
	pool_clear_labels(p);
	label = xasprintf("scale-set:%s", p->scale_set);
	return pool_add_labels(p, label, err);
}

static int
load(struct config *c, const char *name, struct pool *p, struct err *err)
{
	pool_defaults(p);
	p->name = xstrdup(name);
	set_string(&p->github, c, name, "github");
	set_string(&p->scope, c, name, "scope");
	set_string(&p->place, c, name, "place");
	set_string(&p->command, c, name, "runner-command");
	set_string(&p->group, c, name, "runner-group");
	set_string(&p->prefix, c, name, "prefix");
	load_images(c, p);
	if (load_numbers(c, p, err) || load_labels(c, p, err) ||
		load_scale_set(c, p, err))
		return -1;
	return check(p, err);
}

int
pools_load(struct state *st, struct pools *ret, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;

	*ret = (struct pools){ 0 };
	if (state_config(st, &c, err))
		return -1;
	config_names(c, "pool", &names);
	ret->v = xcalloc(names.n, sizeof(*ret->v));
	for (ret->n = 0; ret->n < names.n; ret->n++)
		if (load(c, names.v[ret->n], &ret->v[ret->n], err)) {
			ret->n++;
			pools_release(ret);
			return -1;
		}
	return 0;
}

int
pool_load(struct state *st, const char *name, struct pool *ret,
	struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	CLEANUP_BUF struct buf known = BUF_INIT;
	struct config *c;
	size_t i;

	if (state_config(st, &c, err))
		return -1;
	config_names(c, "pool", &names);
	for (i = 0; i < names.n; i++) {
		if (!strcmp(names.v[i], name)) {
			if (!load(c, name, ret, err))
				return 0;
			pool_release(ret);
			return -1;
		}
		buf_addf(&known, "%s%s", known.len ? ", " : "", names.v[i]);
	}
	return err_set(err, ERR_NOTFOUND,
		"no pool '%s' in the configuration%s%s", name,
		known.len ? "; there are: " : " (there is none at all)",
		known.s);
}
