/*
 * layer_tree: what a stack of layers amounts to: the names of a file system
 * in memory, and for each file which bytes of which layer it has.  Nothing
 * here touches a file system, so no name can lead out of it.
 *
 *	struct layer_tree *t = layer_tree_new(max_entries);
 *	for each layer, the lowest first:
 *		layer_tree_begin(t)
 *		for each entry: layer_tree_add(), _link() or _hide()
 *	layer_tree_each(t, ...)		parents first, sorted by name
 *	layer_tree_free(t)
 *
 * A name is refused with ERR_INVALID when it has a part "..", lies below
 * something that is no directory, is deeper than 200 parts or longer than
 * 4095 bytes.  Leading "/" and "./" are left out.
 */
#ifndef FORGE_VM_LAYER_TREE_H
#define FORGE_VM_LAYER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/err.h"

struct layer_tree;
struct layer_node;

/* The bytes of one regular file; nodes that share it are hard links. */
struct layer_data {
	struct layer_node *first; /* NULL: hidden by a higher layer */
};

/* Its names have no bytes any more. */
void layer_data_forget(struct layer_data *d);

struct layer_meta {
	mode_t mode; /* with the type */
	int64_t uid, gid, mtime;
	dev_t rdev;
	const char *target; /* of a symbolic link; borrowed */
};

struct layer_node {
	char *name; /* of the root: "" */
	struct layer_node *parent;
	void *children; /* of a directory */
	int layer;
	struct layer_meta meta;
	char *target; /* what meta.target points to */
	struct layer_data *data; /* of a regular file */
	struct layer_node *next; /* with the same data */
};

struct layer_tree *layer_tree_new(size_t max_entries);
void layer_tree_free(struct layer_tree *t);

/* Entries from now on belong to the next layer. */
void layer_tree_begin(struct layer_tree *t);

/*
 * Put an entry there, in place of what has its name (a directory keeps what
 * is in it when a directory comes).  data: of a regular file, the caller's,
 * and it must live as long as the tree; else NULL.
 */
int layer_tree_add(struct layer_tree *t, const char *path,
	const struct layer_meta *m, struct layer_data *data, struct err *err)
	__attribute__((warn_unused_result));
/* A further name for target.  ERR_INVALID when there is no such file. */
int layer_tree_link(struct layer_tree *t, const char *path,
	const char *target, struct err *err)
	__attribute__((warn_unused_result));
/* A directory that should be there (0755, root's), unless it is. */
int layer_tree_dir(struct layer_tree *t, const char *path, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Whiteouts: what lower layers have at path, or with only_children below it,
 * is hidden; that nothing is there is no failure.
 */
int layer_tree_hide(struct layer_tree *t, const char *path,
	bool only_children, struct err *err)
	__attribute__((warn_unused_result));

/* The root's own; as a directory that should be there, if nobody said. */
const struct layer_meta *layer_tree_root(const struct layer_tree *t);
/* Every node but the root; -1 from visit ends it. */
int layer_tree_each(struct layer_tree *t,
	int (*visit)(const struct layer_node *n, void *arg), void *arg);
/* "etc/passwd"; caller frees. */
char *layer_node_path(const struct layer_node *n);

#endif
