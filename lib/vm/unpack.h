/*
 * unpack: compressed data and Debian packages, read through libarchive into
 * memory, within bounds.
 */
#ifndef FORGE_VM_UNPACK_H
#define FORGE_VM_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

/*
 * One compressed stream (gzip, xz, lzma, bzip2, lz4, lz4 legacy, zstd) of n
 * bytes.  Stops after max bytes came out, what follows is not looked at;
 * fewer is no error.  ERR_INVALID when it is none of these or is damaged.
 */
int unpack_stream(const void *p, size_t n, size_t max, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * The regular files of the package path, in its order: want() is asked with
 * each name ("lib/modules/..."); for those it wants, file() gets the content
 * (take what is in data, or leave it).  file() returns 0 to go on, or -1
 * with err set.  Files beyond max bytes together are ERR_LIMIT.
 */
struct unpack {
	bool (*want)(const char *name, void *arg);
	int (*file)(const char *name, struct buf *data, void *arg,
		struct err *err);
	void *arg;
	size_t max;
};
int unpack_deb(const char *path, const struct unpack *u, struct err *err)
	__attribute__((warn_unused_result));

#endif
