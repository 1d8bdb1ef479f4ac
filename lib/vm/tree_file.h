/* What tree.c and tree_file.c share. */
#ifndef FORGE_VM_TREE_FILE_H
#define FORGE_VM_TREE_FILE_H

#include "lib/vm/tree.h"

/* The directory that we are in. */
int tree_dirfd(const struct tree *t);
/* Owner, mode and time. */
int tree_attributes(const struct tree *t, int fd, const struct pack_entry *e);
/* A name that nobody has. */
int tree_temporary(char *ret, size_t size);
/* Rename it; removed when that fails. */
int tree_publish(const struct tree *t, const char *temporary,
	const char *name);

int tree_file_begin(struct tree *t, const char *name,
	const struct pack_entry *e);
int tree_file_data(void *arg, const void *p, uint64_t n);
int tree_file_close(void *arg, int whole);
void tree_file_abandon(struct tree *t);

#endif
