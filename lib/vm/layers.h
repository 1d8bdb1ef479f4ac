/*
 * layers: a stack of tar files, the lowest first, made one file system image
 * (squashfs) without ever unpacking them on this host: what they amount to
 * is found in memory (layer_tree.h), written as one tar stream, and sqfstar
 * packs that.  Owners, modes, device nodes, hard links and the extended
 * attributes of files are kept, whoever the caller is.  The same layers give
 * the same bytes.
 */
#ifndef FORGE_VM_LAYERS_H
#define FORGE_VM_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/vm/progress.h"

#define LAYERS_ENTRIES_MAX ((size_t)1 << 20)

struct layer {
	int fd; /* of a tar file, compressed or not; the caller's */
	const char *what; /* for messages */
};

struct layers {
	const struct layer *v;
	size_t n;
	bool whiteouts; /* ".wh.NAME" hides NAME of the lower ones */
	const struct argv *dirs; /* directories that must be there */
	int64_t max_bytes; /* of all files in all layers together */
	const struct progress *progress; /* or NULL */
};

struct layer_tree;

/*
 * Make the file out (an absolute path; it must not be there).  ERR_INVALID
 * for layers that are no tar files or break the rules of layer_tree.h or the
 * bounds; ERR_NOTFOUND without sqfstar.
 */
int layers_pack(const struct layers *l, const char *out, struct err *err)
	__attribute__((warn_unused_result));

/* Its first half, for tests: n bytes as one more layer of t. */
int layers_read_memory(struct layer_tree *t, const void *p, size_t n,
	int64_t max_bytes, struct err *err)
	__attribute__((warn_unused_result));

#endif
