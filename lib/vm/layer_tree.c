#include "lib/vm/layer_tree.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define DEPTH_MAX 200
#define PATH_BYTES 4095

struct layer_tree {
	struct layer_node root;
	size_t entries, max;
	int layer;
};

/* ---- nodes ---- */

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct layer_node *)a)->name,
		((const struct layer_node *)b)->name);
}

static struct layer_node *
child(struct layer_node *dir, char *name)
{
	const struct layer_node key = { .name = name };
	void *found = tfind(&key, &dir->children, compare);

	return found ? *(struct layer_node **)found : NULL;
}

/* No longer a name of its bytes. */
static void
detach_data(struct layer_node *n)
{
	struct layer_node **p;

	if (!n->data)
		return;
	for (p = &n->data->first; *p != n; p = &(*p)->next)
		;
	*p = n->next;
	n->data = NULL;
	n->next = NULL;
}

static void
attach_data(struct layer_node *n, struct layer_data *data)
{
	n->data = data;
	if (!data)
		return;
	n->next = data->first;
	data->first = n;
}

void
layer_data_forget(struct layer_data *d)
{
	while (d->first)
		detach_data(d->first);
}

struct list {
	struct layer_node **v;
	size_t n, alloc;
};

static void
collect(const void *node, VISIT which, void *arg)
{
	struct list *l = arg;

	if (which != postorder && which != leaf)
		return;
	if (l->n == l->alloc) {
		l->alloc = l->alloc ? 2 * l->alloc : 16;
		l->v = xreallocarray(l->v, l->alloc,
			sizeof(struct layer_node *));
	}
	l->v[l->n++] = *(struct layer_node *const *)node;
}

/* In the order of their names; the caller frees v. */
static struct list
children(const struct layer_node *dir)
{
	struct list l = { 0 };

	twalk_r(dir->children, collect, &l);
	return l;
}

/* Itself and, not deeper than DEPTH_MAX, all below. */
static void
remove_node(struct layer_tree *t, struct layer_node *n)
{
	struct list l = children(n);
	size_t i;

	for (i = 0; i < l.n; i++)
		remove_node(t, l.v[i]);
	free(l.v);
	detach_data(n);
	(void)tdelete(n, &n->parent->children, compare);
	free(n->name);
	free(n->target);
	free(n);
	t->entries--;
}

struct layer_tree *
layer_tree_new(size_t max_entries)
{
	struct layer_tree *t = xcalloc(1, sizeof(*t));

	t->root.name = xstrdup("");
	t->root.meta.mode = S_IFDIR | 0755;
	t->max = max_entries;
	t->layer = -1;
	return t;
}

void
layer_tree_free(struct layer_tree *t)
{
	struct list l;
	size_t i;

	if (!t)
		return;
	l = children(&t->root);
	for (i = 0; i < l.n; i++)
		remove_node(t, l.v[i]);
	free(l.v);
	free(t->root.name);
	free(t->root.target);
	free(t);
}

void
layer_tree_begin(struct layer_tree *t)
{
	t->layer++;
}

/* ---- names ---- */

/* The parts of a name, none of them "" or ".". */
static int
split(const char *path, struct argv *ret, struct err *err)
{
	CLEANUP_ARGV struct argv all = ARGV_INIT;
	size_t i;

	if (strlen(path) > PATH_BYTES)
		return err_set(err, ERR_INVALID,
			"the name '%.60s...' is too long", path);
	argv_splitc(&all, path, '/');
	for (i = 0; i < all.n; i++) {
		if (!strcmp(all.v[i], ".."))
			return err_set(err, ERR_INVALID,
				"the name '%.200s' leads out of the archive",
				path);
		if (strlen(all.v[i]) > 255)
			return err_set(err, ERR_INVALID,
				"the name '%.60s...' is too long", all.v[i]);
		if (strcmp(all.v[i], ".") != 0)
			argv_push(ret, all.v[i]);
	}
	return ret->n <= DEPTH_MAX ? 0 : err_set(err, ERR_INVALID,
		"the name '%.60s...' has more than %d parts", path,
		DEPTH_MAX);
}

static int
make_child(struct layer_tree *t, struct layer_node *dir, const char *name,
	struct layer_node **ret, struct err *err)
{
	struct layer_node *n;

	if (t->entries >= t->max)
		return err_set(err, ERR_INVALID, "more than %zu files",
			t->max);
	n = xcalloc(1, sizeof(*n));
	n->name = xstrdup(name);
	n->parent = dir;
	n->layer = t->layer;
	n->meta.mode = S_IFDIR | 0755;
	if (!tsearch(n, &dir->children, compare))
		BUG("out of memory");
	t->entries++;
	*ret = n;
	return 0;
}

/* The directory that the last part is in; with make, it comes to be. */
static int
walk(struct layer_tree *t, const struct argv *parts, size_t n, bool make,
	const char *path, struct layer_node **ret, struct err *err)
{
	struct layer_node *dir = &t->root, *next;
	size_t i;

	for (i = 0; i < n; i++) {
		next = child(dir, parts->v[i]);
		if (!next && !make) {
			*ret = NULL;
			return 0;
		}
		if (!next && make_child(t, dir, parts->v[i], &next, err))
			return -1;
		if (!S_ISDIR(next->meta.mode))
			return err_set(err, ERR_INVALID,
				"the name '%.200s' leads through '%.100s', "
				"which is no directory", path, next->name);
		dir = next;
	}
	*ret = dir;
	return 0;
}

static int
find(struct layer_tree *t, const char *path, struct layer_node **ret,
	struct err *err)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	struct layer_node *dir;

	*ret = NULL;
	if (split(path, &parts, err))
		return -1;
	if (!parts.n) {
		*ret = &t->root;
		return 0;
	}
	if (walk(t, &parts, parts.n - 1, false, path, &dir, err))
		return -1;
	if (dir)
		*ret = child(dir, parts.v[parts.n - 1]);
	return 0;
}

/* ---- entries ---- */

static void
set_meta(struct layer_tree *t, struct layer_node *n,
	const struct layer_meta *m)
{
	char *target = xstrdup_null(m->target);

	free(n->target);
	n->meta = *m;
	n->meta.target = n->target = target;
	n->layer = t->layer;
}

int
layer_tree_add(struct layer_tree *t, const char *path,
	const struct layer_meta *m, struct layer_data *data, struct err *err)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	struct layer_node *dir, *n;

	if (split(path, &parts, err))
		return -1;
	if (!parts.n) {
		if (!S_ISDIR(m->mode))
			return err_set(err, ERR_INVALID,
				"the root is no directory");
		set_meta(t, &t->root, m);
		return 0;
	}
	if (walk(t, &parts, parts.n - 1, true, path, &dir, err))
		return -1;
	n = child(dir, parts.v[parts.n - 1]);
	if (n && !(S_ISDIR(n->meta.mode) && S_ISDIR(m->mode))) {
		remove_node(t, n);
		n = NULL;
	}
	if (!n && make_child(t, dir, parts.v[parts.n - 1], &n, err))
		return -1;
	set_meta(t, n, m);
	attach_data(n, data);
	return 0;
}

int
layer_tree_link(struct layer_tree *t, const char *path, const char *target,
	struct err *err)
{
	struct layer_node *n, *old;
	struct layer_meta m;

	if (find(t, target, &n, err))
		return -1;
	if (!n || S_ISDIR(n->meta.mode))
		return err_set(err, ERR_INVALID,
			"'%.200s' is a hard link to '%.200s', which is no "
			"file of the archive", path, target);
	if (find(t, path, &old, err))
		return -1;
	if (old == n)
		return 0;
	m = n->meta;
	CLEANUP_FREE char *copy = xstrdup_null(m.target);
	m.target = copy;
	/* what is replaced may be a directory that n lies in */
	struct layer_node keep = { .data = n->data };
	if (keep.data) {
		keep.next = keep.data->first;
		keep.data->first = &keep;
	}
	int rc = layer_tree_add(t, path, &m, keep.data, err);

	detach_data(&keep);
	return rc;
}

int
layer_tree_dir(struct layer_tree *t, const char *path, struct err *err)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	struct layer_node *n;

	return split(path, &parts, err) ? -1 :
		walk(t, &parts, parts.n, true, path, &n, err);
}

/* true: nothing of it is left. */
static bool
hide(struct layer_tree *t, struct layer_node *n, bool itself)
{
	struct list l = children(n);
	size_t i, left = l.n;

	for (i = 0; i < l.n; i++)
		left -= hide(t, l.v[i], true);
	free(l.v);
	if (!itself || left || n->layer >= t->layer)
		return false;
	remove_node(t, n);
	return true;
}

int
layer_tree_hide(struct layer_tree *t, const char *path, bool only_children,
	struct err *err)
{
	struct layer_node *n;

	if (find(t, path, &n, err))
		return -1;
	if (n)
		(void)hide(t, n, !only_children && n != &t->root);
	return 0;
}

/* ---- reading it ---- */

const struct layer_meta *
layer_tree_root(const struct layer_tree *t)
{
	return &t->root.meta;
}

static int
each(const struct layer_node *dir,
	int (*visit)(const struct layer_node *n, void *arg), void *arg)
{
	struct list l = children(dir);
	size_t i;
	int rc = 0;

	for (i = 0; i < l.n && !rc; i++) {
		rc = visit(l.v[i], arg);
		if (!rc)
			rc = each(l.v[i], visit, arg);
	}
	free(l.v);
	return rc;
}

int
layer_tree_each(struct layer_tree *t,
	int (*visit)(const struct layer_node *n, void *arg), void *arg)
{
	return each(&t->root, visit, arg);
}

char *
layer_node_path(const struct layer_node *n)
{
	CLEANUP_FREE char *dir = NULL;

	if (!n->parent || !n->parent->parent)
		return xstrdup(n->name);
	dir = layer_node_path(n->parent);
	return xasprintf("%s/%s", dir, n->name);
}
