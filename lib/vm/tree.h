/*
 * tree: the entries of a pack, put below a directory.
 *
 * Nothing is ever written through a symbolic link that lies in the tree, and
 * nothing beside it: absolute paths and ".." are refused.  A file has its
 * name only when it is whole, with mode, owner and time: until then it has
 * none (O_TMPFILE), or, where the file system cannot do that, the name
 * ".forge-cp-" and 16 digits.  An existing file or link is replaced, an
 * existing directory is filled.  A directory gets its own mode and time when
 * the next entry is not in it any more.
 *
 *	struct tree t;
 *	tree_target("/tmp/x", "src", flags, &t)
 *	pack_reader_init(&r, &tree_sink, &t); pack_feed(...)
 *	tree_finish(&t)		0 when all is in place
 *	tree_release(&t)	a file that is not whole is gone
 *
 * Compiled into forge-init too: only libc.  All return 0, or -1 with errno
 * and t->at, the path of the entry that failed.
 */
#ifndef FORGE_VM_TREE_H
#define FORGE_VM_TREE_H

#include <limits.h>
#include <stdbool.h>
#include "lib/vm/pack.h"

#define TREE_DEPTH 256 /* directories below one another; ENAMETOOLONG */

enum tree_flags {
	TREE_OWNERS = 1 << 0, /* as they were; else they are ours */
	TREE_SETID = 1 << 1, /* set-user-ID and set-group-ID are kept */
	TREE_DEVICES = 1 << 2, /* devices and FIFOs; else skipped */
};

struct tree_dir {
	int fd;
	char *name; /* NULL of the root */
	bool settle; /* entry is to be set when we leave it */
	struct pack_entry entry;
};

struct tree {
	unsigned flags;
	char top[NAME_MAX + 1]; /* the only first name allowed; "" any */
	char as[NAME_MAX + 1]; /* what it is called here */
	uint64_t skipped; /* entries */
	char at[256];
	struct tree_dir dirs[TREE_DEPTH + 1];
	size_t ndirs;
	int file; /* being written; -1 */
	bool named; /* it has a temporary name */
	uint64_t size;
	char temporary[40];
	char name[NAME_MAX + 1];
	struct pack_entry entry; /* of the file */
};

/*
 * Where a source called name goes when dst was said, as cp(1) has it: into
 * dst when that is a directory, else it becomes dst.  The name "." means
 * the content of a directory: dst is made when missing.  When this fails
 * there is nothing to release.
 */
int tree_target(const char *dst, const char *name, unsigned flags,
	struct tree *ret);

/* Is path relative, without "..", and top its first name ("." any)? EPERM. */
int tree_check(const char *path, const char *top);

extern const struct pack_sink tree_sink; /* arg: the tree */

int tree_finish(struct tree *t);
void tree_release(struct tree *t);

#endif
