#include "lib/state/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config_cache.h"
#include "lib/state/config_file.h"
#include "lib/state/config_keys.h"
#include "lib/base/banned.h"

enum { FILES = 2, FILE_MAX = 1 << 20, BUCKETS = 1024 };

struct entry {
	char *full; /* as libgit2 names it: section.NAME.key */
	const char *section; /* these three: parts of one copy */
	const char *name; /* NULL without */
	const char *key;
	char *parts;
	char *value;
	size_t file; /* which of config.files it came from */
	unsigned depth; /* of inclusion */
	size_t before; /* the one before it in its bucket, from 1; 0: none */
};

struct config {
	char *files[FILES];
	struct entry *entries; /* in order: the last one wins */
	size_t n, alloc;
	size_t buckets[BUCKETS]; /* the last entry of each, from 1 */
	size_t file; /* being read */
	bool found; /* at least one file */
};

static void
entry_split(struct entry *e)
{
	char *first, *last;

	e->parts = xstrdup(e->full);
	first = strchr(e->parts, '.');
	last = strrchr(e->parts, '.');
	e->section = e->parts;
	e->key = "";
	if (!first)
		return;
	*first = *last = '\0';
	e->key = last + 1;
	e->name = first == last ? NULL : first + 1;
}

/* FNV-1a, of lower case. */
static size_t
bucket_of(const char *section, const char *name, const char *key)
{
	const char *parts[] = { section, name ? name : "", key };
	uint32_t h = 2166136261u;
	size_t i;
	const char *p;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		for (p = parts[i]; *p; p++)
			h = (h ^ (unsigned char)tolower((unsigned char)*p)) *
				16777619u;
	return h % BUCKETS;
}

static void
entry_add(const char *name, const char *value, unsigned depth, void *arg)
{
	struct config *c = arg;
	struct entry *e;
	size_t b;

	if (c->n == c->alloc) {
		c->alloc = c->alloc ? 2 * c->alloc : 32;
		c->entries = xreallocarray(c->entries, c->alloc,
			sizeof(*c->entries));
	}
	e = &c->entries[c->n++];
	/* A key alone is true, as in git. */
	*e = (struct entry){ .full = xstrdup(name), .file = c->file,
		.value = xstrdup(value ? value : "true"), .depth = depth };
	entry_split(e);
	b = bucket_of(e->section, e->name, e->key);
	e->before = c->buckets[b];
	c->buckets[b] = c->n;
}

static int
config_add_file(struct config *c, size_t i, struct err *err)
{
	const char *path = c->files[i];

	if (access(path, R_OK)) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(err, "cannot read configuration '%s'", path);
	}
	c->file = i;
	c->found = true;
	return config_file_read(path, entry_add, c, err);
}

static void
add_cached(size_t file, const char *name, const char *value, void *arg)
{
	struct config *c = arg;

	c->file = file;
	entry_add(name, value, 0, c);
}

/* Values are kept only of files that include no other. */
static void
keep(const struct config *c, int statefd, const struct buf *stamp)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	size_t i;

	for (i = 0; i < c->n; i++) {
		const struct entry *e = &c->entries[i];

		if (!strncmp(e->full, "include", 7) || e->depth)
			return;
		config_cache_add(&text, e->file, e->full, e->value);
	}
	config_cache_save(statefd, CONFIG_CACHE, stamp, &text);
}

static int
config_read(struct config *c, int statefd, struct err *err)
{
	CLEANUP_BUF struct buf stamp = BUF_INIT;
	bool settled = config_stamp(c->files, FILES, &stamp);
	size_t i;

	if (settled && config_cache_load(statefd, CONFIG_CACHE, &stamp, add_cached, c))
		return 0;
	for (i = 0; i < FILES; i++)
		if (config_add_file(c, i, err))
			return -1;
	if (settled && c->found)
		keep(c, statefd, &stamp);
	return 0;
}

int
config_open(int statefd, const char *path, struct config **ret,
	struct err *err)
{
	struct config *c = xcalloc(1, sizeof(*c));
	const char *first = getenv("FORGE_CONFIG");

	c->files[0] = xstrdup(first && *first ? first : "/etc/forge/config");
	c->files[1] = xasprintf("%s/config", path);
	if (config_read(c, statefd, err)) {
		config_close(c);
		return -1;
	}
	*ret = c;
	return 0;
}

void
config_close(struct config *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->n; i++) {
		free(c->entries[i].full);
		free(c->entries[i].parts);
		free(c->entries[i].value);
	}
	free(c->entries);
	for (i = 0; i < FILES; i++)
		free(c->files[i]);
	free(c);
}

static bool
entry_is(const struct entry *e, const char *section, const char *name,
	const char *key)
{
	if (strcasecmp(e->key, key) || strcasecmp(e->section, section))
		return false;
	if (!name || !e->name)
		return !name && !e->name;
	return !strcmp(e->name, name);
}

static const struct entry *
find(const struct config *c, const char *section, const char *name,
	const char *key)
{
	size_t i = c->buckets[bucket_of(section, name, key)];

	for (; i; i = c->entries[i - 1].before)
		if (entry_is(&c->entries[i - 1], section, name, key))
			return &c->entries[i - 1];
	return NULL;
}

/* What is searched for: the nth setting of full at this depth of inclusion. */
struct wanted {
	const char *full;
	size_t nth;
	unsigned depth;
	struct buf *out; /* "FILE:LINE" goes here */
	bool found;
};

static void locate_in(const char *path, unsigned depth, struct wanted *w);

struct including {
	const char *path; /* the file that includes */
	unsigned depth;
	struct wanted *w;
};

static void
locate_include(const char *name, const char *value, unsigned depth, void *arg)
{
	const struct including *in = arg;
	const char *slash = strrchr(in->path, '/');
	CLEANUP_FREE char *path = NULL;

	if (in->w->found || depth || !value || strcmp(name, "include.path"))
		return;
	path = *value == '/' || !slash ? xstrdup(value) :
		xasprintf("%.*s/%s", (int)(slash - in->path), in->path,
			value);
	locate_in(path, in->depth + 1, in->w);
}

static void
locate_in(const char *path, unsigned depth, struct wanted *w)
{
	struct including in = { path, depth, w };
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	size_t line = 0;

	/* A broken file was reported when it was opened. */
	if (depth < w->depth ?
			config_file_read(path, locate_include, &in,
				&ignored) || w->found :
			fs_read(AT_FDCWD, path, FILE_MAX, &text, &ignored))
		return;
	/* No text, no line: that ends a walk through the includes too. */
	for (size_t i = 0; !w->found; i++) {
		line = config_file_line(text.s, text.len, w->full, i);
		if (!line)
			return;
		w->found = w->nth-- == 0;
	}
	buf_addf(w->out, "%s:%zu", path, line);
}

/* "FILE:LINE" of an entry, or the file alone when it cannot be found. */
static void
locate(const struct config *c, const struct entry *e, struct buf *out)
{
	struct wanted w = { e->full, 0, e->depth, out, false };
	const char *path = c->files[e->file];
	const struct entry *p;

	for (p = c->entries; p < e; p++)
		w.nth += p->file == e->file && p->depth == e->depth &&
			!strcmp(p->full, e->full);
	locate_in(path, 0, &w);
	if (!w.found)
		buf_adds(out, path);
}

const char *
config_str(struct config *c, const char *section, const char *name,
	const char *key, const char *fallback)
{
	const struct entry *e = find(c, section, name, key);

	return e ? e->value : fallback;
}

void
config_list(const struct config *c, struct argv *ret)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		argv_pushf(ret, "%s=%s", c->entries[i].full,
			c->entries[i].value);
}

union parsed {
	int64_t n;
	bool b;
};

/* The value of an entry as its type; err is without a place. */
static int
parse_value(const struct entry *e, enum config_type type, union parsed *ret,
	struct err *err)
{
	switch (type) {
	case CONFIG_INT:
		return parse_i64(e->value, INT64_MIN, INT64_MAX, e->full,
			&ret->n, err);
	case CONFIG_SIZE:
		return parse_size(e->value, 0, (int64_t)1 << 50, e->full,
			&ret->n, err);
	case CONFIG_DURATION:
		return parse_duration(e->value, e->full, &ret->n, err);
	case CONFIG_BOOL:
		return parse_bool(e->value, e->full, &ret->b, err);
	case CONFIG_STRING:
	case CONFIG_TYPE__MAX:
		break;
	}
	return 0;
}

static int
get(struct config *c, const char *section, const char *name, const char *key,
	enum config_type type, union parsed *ret, struct err *err)
{
	const struct entry *e = find(c, section, name, key);
	CLEANUP_BUF struct buf place = BUF_INIT;

	if (!e || !parse_value(e, type, ret, err))
		return 0;
	locate(c, e, &place);
	err->code = ERR_INVALID;
	return err_wrap(err, "%s", place.s);
}

int
config_int(struct config *c, const char *section, const char *name,
	const char *key, int64_t fallback, int64_t *ret, struct err *err)
{
	union parsed v = { .n = fallback };

	if (get(c, section, name, key, CONFIG_INT, &v, err))
		return -1;
	*ret = v.n;
	return 0;
}

int
config_size(struct config *c, const char *section, const char *name,
	const char *key, int64_t fallback, int64_t *ret_bytes,
	struct err *err)
{
	union parsed v = { .n = fallback };

	if (get(c, section, name, key, CONFIG_SIZE, &v, err))
		return -1;
	*ret_bytes = v.n;
	return 0;
}

int
config_duration(struct config *c, const char *section, const char *name,
	const char *key, int64_t fallback, int64_t *ret_ms, struct err *err)
{
	union parsed v = { .n = fallback };

	if (get(c, section, name, key, CONFIG_DURATION, &v, err))
		return -1;
	*ret_ms = v.n;
	return 0;
}

int
config_bool(struct config *c, const char *section, const char *name,
	const char *key, bool fallback, bool *ret, struct err *err)
{
	union parsed v = { .b = fallback };

	if (get(c, section, name, key, CONFIG_BOOL, &v, err))
		return -1;
	*ret = v.b;
	return 0;
}

void
config_all(struct config *c, const char *section, const char *name,
	const char *key, struct argv *ret)
{
	size_t i = c->buckets[bucket_of(section, name, key)], k;
	size_t first = ret->n;

	for (; i; i = c->entries[i - 1].before)
		if (entry_is(&c->entries[i - 1], section, name, key))
			argv_push(ret, c->entries[i - 1].value);
	for (i = first, k = ret->n; i + 1 < k; i++) { /* oldest first */
		char *last = ret->v[--k];

		ret->v[k] = ret->v[i];
		ret->v[i] = last;
	}
}

void
config_names(struct config *c, const char *section, struct argv *ret)
{
	size_t i, j, before = ret->n;

	for (i = 0; i < c->n; i++) {
		const struct entry *e = &c->entries[i];

		if (!e->name || strcasecmp(e->section, section))
			continue;
		for (j = ret->n; j > before; j--) /* it is often the last */
			if (!strcmp(ret->v[j - 1], e->name))
				break;
		if (j == before)
			argv_push(ret, e->name);
	}
}

static const struct config_key *
known(const struct entry *e)
{
	size_t i;

	for (i = 0; i < config_keys_count; i++)
		if (config_keys[i].named == (e->name != NULL) &&
			!strcmp(config_keys[i].section, e->section) &&
			!strcmp(config_keys[i].key, e->key))
			return &config_keys[i];
	return NULL;
}

static void
check_entry(const struct config *c, const struct entry *e,
	struct argv *ret_lines)
{
	const struct config_key *k = known(e);
	CLEANUP_BUF struct buf place = BUF_INIT;
	struct err err = ERR_INIT;
	union parsed ignored;

	if (k ? !parse_value(e, k->type, &ignored, &err) :
			!strncmp(e->section, "include", 7))
		return;
	if (!k)
		(void)err_set(&err, ERR_INVALID, "unknown key '%s'", e->full);
	locate(c, e, &place);
	argv_pushf(ret_lines, "%s: %s", place.s, err.msg);
}

int
config_check(struct config *c, struct argv *ret_lines, struct err *err)
{
	size_t i;

	(void)err; /* a file that cannot be read failed in config_open() */
	for (i = 0; i < c->n; i++)
		check_entry(c, &c->entries[i], ret_lines);
	return 0;
}
