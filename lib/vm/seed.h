/*
 * seed: a NoCloud seed for images that run cloud-init: a small file system
 * labelled CIDATA with user-data (the user's), meta-data (instance-id,
 * local-hostname) and an empty vendor-data.
 */
#ifndef FORGE_VM_SEED_H
#define FORGE_VM_SEED_H

#include <stddef.h>
#include "lib/base/err.h"

#define SEED_MAX ((size_t)1 << 20) /* of user-data */

/* Is the file there, and mtools?  ERR_NOTFOUND, ERR_LIMIT. */
int seed_check(const char *user_data, struct err *err)
	__attribute__((warn_unused_result));
/* Make the file path for VM name; dir: for what is in it meanwhile. */
int seed_make(const char *user_data, const char *name, const char *dir,
	const char *path, struct err *err) __attribute__((warn_unused_result));

#endif
