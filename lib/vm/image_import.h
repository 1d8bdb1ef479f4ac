/*
 * image_import: the root file system of an image from somebody else's, for
 * image_build.c: an OCI layout (directory or archive), a docker-archive, a
 * tar file of a root, or an initramfs.
 */
#ifndef FORGE_VM_IMAGE_IMPORT_H
#define FORGE_VM_IMAGE_IMPORT_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/vm/image_build.h"

/* Before anything is begun: is the source there, are the tools? */
int image_import_check(const struct image_spec *spec, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Make IMAGE_ROOT in the directory dir (an absolute path).  What the source
 * was is put into manifest (base, source, source_digest), and how to run it
 * into config.
 */
int image_import_root(const struct image_spec *spec, const char *dir,
	struct json *manifest, struct image_config *config, struct err *err)
	__attribute__((warn_unused_result));

/* The file spec->initramfs, padded for what follows it; ERR_INVALID when it
 * is none. */
int image_import_initramfs(const struct image_spec *spec, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
