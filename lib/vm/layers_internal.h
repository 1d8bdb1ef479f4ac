/* layers_internal: what layers.c (reading) and layers_pack.c share. */
#ifndef FORGE_VM_LAYERS_INTERNAL_H
#define FORGE_VM_LAYERS_INTERNAL_H

#include "lib/vm/archive.h"
#include "lib/vm/layer_tree.h"
#include "lib/vm/layers.h"

/* The regular files of one layer, in its order. */
struct layer_files {
	struct layer_data **v;
	size_t n, alloc;
};
void layer_files_release(struct layer_files *f);

struct layers_reading {
	const struct layers *l;
	struct layer_tree *tree;
	struct layer_files *files; /* one for each layer */
	int64_t left; /* bytes that files may still have */
	int64_t done, total; /* for progress: bytes of the layers' files */
};

/* Layer i into tree and files. */
int layers_scan(struct layers_reading *r, size_t i, struct err *err)
	__attribute__((warn_unused_result));
void layers_progress(struct layers_reading *r, struct archive *a);

#endif
