#include "lib/vm/layer_tree.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "tests/unit/tap.h"

static const struct layer_meta file = { .mode = S_IFREG | 0644 };
static const struct layer_meta dir = { .mode = S_IFDIR | 0700 };
static struct layer_data bytes[16];

static int
list(const struct layer_node *n, void *arg)
{
	CLEANUP_FREE char *path = layer_node_path(n);

	buf_addf(arg, "%s%s ", path, S_ISDIR(n->meta.mode) ? "/" : "");
	return 0;
}

static void
is_tree(struct layer_tree *t, const char *want, const char *name)
{
	struct buf b = BUF_INIT;

	(void)layer_tree_each(t, list, &b);
	is_str(b.s, want, name);
	buf_release(&b);
}

static void
put(struct layer_tree *t, const char *path, int data)
{
	struct err err = ERR_INIT;

	ok(!layer_tree_add(t, path, data < 0 ? &dir : &file,
		   data < 0 ? NULL : &bytes[data], &err), path);
}

static void
hide(struct layer_tree *t, const char *path, bool only_children)
{
	struct err err = ERR_INIT;

	ok(!layer_tree_hide(t, path, only_children, &err), path);
}

static void
test_whiteouts(void)
{
	struct layer_tree *t = layer_tree_new(100);

	layer_tree_begin(t);
	put(t, "./b/x", 0);
	put(t, "b/y", 1);
	put(t, "/a", 2);
	is_tree(t, "a b/ b/x b/y ", "sorted, with parents");
	layer_tree_begin(t);
	put(t, "b/z", 3);
	hide(t, "b", true);
	is_tree(t, "a b/ b/z ", "opaque: what this layer has stays");
	hide(t, "b", false);
	is_tree(t, "a b/ b/z ", "so does the directory that it is in");
	hide(t, "a", false);
	hide(t, "none/at/all", false);
	is_tree(t, "b/ b/z ", "hidden");
	ok(!bytes[0].first && !bytes[2].first && bytes[3].first,
		"bytes that nobody shows");
	layer_tree_begin(t);
	hide(t, "b", false);
	put(t, "b", 4);
	is_tree(t, "b ", "a file in place of a directory");
	layer_tree_free(t);
	ok(!bytes[4].first, "no names after the end");
}

static void
test_links(void)
{
	struct layer_tree *t = layer_tree_new(100);
	struct err err = ERR_INIT;

	layer_tree_begin(t);
	put(t, "d/one", 5);
	ok(!layer_tree_link(t, "two", "d/one", &err), "link");
	ok(!layer_tree_link(t, "two", "two", &err), "to itself");
	layer_tree_begin(t);
	put(t, "d/one", 6);
	ok(bytes[5].first && !bytes[5].first->next, "one name of the old is left");
	ok(!layer_tree_link(t, "d", "d/one", &err),
		"in place of the directory that it is in");
	is_tree(t, "d two ", "the directory is gone");
	ok(bytes[6].first && !bytes[6].first->next &&
		!strcmp(bytes[6].first->name, "d"), "and the file is there");
	is_int(layer_tree_link(t, "e", "nowhere", &err), -1, "to nothing");
	is_int(err.code, ERR_INVALID, "is invalid");
	layer_tree_free(t);
}

static void
refuse(struct layer_tree *t, const char *path, const char *why)
{
	struct err err = ERR_INIT;

	is_int(layer_tree_add(t, path, &file, NULL, &err), -1, why);
	is_int(err.code, ERR_INVALID, "is invalid");
}

static void
test_refused(void)
{
	struct layer_tree *t = layer_tree_new(3);
	char name[5000];

	layer_tree_begin(t);
	put(t, "a", 7);
	refuse(t, "..", "up");
	refuse(t, "x/../y", "up and down");
	refuse(t, "a/b", "below a file");
	refuse(t, "/", "a file for a root");
	memset(name, 'x', sizeof(name));
	name[300] = '\0';
	refuse(t, name, "a part too long");
	memset(name, '/', sizeof(name));
	name[4999] = '\0';
	refuse(t, name, "a name too long");
	put(t, "b", 8);
	put(t, "c", 9);
	refuse(t, "d", "more than there may be");
	put(t, "c", 10);
	is_tree(t, "a b c ", "the rest stands");
	layer_tree_free(t);
}

int
main(void)
{
	test_whiteouts();
	test_links();
	test_refused();
	return done();
}
