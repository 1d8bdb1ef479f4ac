/*
 * kernel: what a VM boots: the uncompressed ELF ("vmlinux") with the PVH
 * entry note, which every VMM here loads directly, and the modules of the
 * same build.
 *
 *	CLEANUP_KERNEL struct kernel k = KERNEL_INIT;
 *	kernel_from_debian(st, &k, err)		or kernel_from_files(...)
 *	... k.image, k.version, &k.modules ...
 */
#ifndef FORGE_VM_KERNEL_H
#define FORGE_VM_KERNEL_H

#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/vm/modules.h"

/* Bounds: of a kernel file, and of what it may unpack to. */
#define KERNEL_FILE_MAX ((size_t)256 << 20)
#define KERNEL_MAX ((size_t)256 << 20)

struct state;

struct kernel {
	char *version; /* "6.1.0-56-cloud-amd64"; of --kernel, its banner's */
	char *source; /* package and version, or the file's path */
	struct buf image;
	struct modules modules;
};

#define KERNEL_INIT \
	((struct kernel){ .image = BUF_INIT, .modules = MODULES_INIT })
#define CLEANUP_KERNEL __attribute__((cleanup(kernel_release)))
void kernel_release(struct kernel *k);

/*
 * vmlinux out of n bytes that are a vmlinux already, or a bzImage (payload
 * compressed with gzip, xz, lzma, bzip2, lz4 or zstd), in place of what ret
 * held.  ERR_INVALID when the bytes are neither, are cut short, lie about
 * sizes, or have no PVH entry.
 */
int kernel_extract(const void *data, size_t n, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Debian's kernel package for clouds (configuration: image.kernel-package),
 * fetched by apt-get into STATE/cache unless it is there, never installed.
 */
int kernel_from_debian(struct state *st, struct kernel *ret, struct err *err)
	__attribute__((warn_unused_result));

/* From a file, and modules below a directory (NULL: all is built in). */
int kernel_from_files(const char *file, const char *modules,
	struct kernel *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
