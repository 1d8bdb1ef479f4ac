/*
 * image_dir: one directory of image/ and its row, for image.c, image_build.c
 * and image_fsck.c.  All of it wants the lock run/image/NAME held alone,
 * except image_manifest().
 *
 * Names below image/: NAME is a published image; .NAME.XXXXXXXX is being
 * built or removed, and garbage whenever nobody holds the lock of NAME.
 *
 * Events: image.begun {base}, image.built {base, digest, size,
 * kernel_version}, image.failed {reason}, image.adopted (as built),
 * image.removed {reason or none}.
 */
#ifndef FORGE_VM_IMAGE_DIR_H
#define FORGE_VM_IMAGE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

#define IMAGE_KERNEL "kernel"
#define IMAGE_INITRAMFS "initramfs"
#define IMAGE_ROOT "root"
#define IMAGE_MANIFEST "manifest.json"

/* The fd of STATE/image, made if it is missing; caller closes. */
int image_dir_open(struct state *st, struct err *err)
	__attribute__((warn_unused_result));

/*
 * manifest.json of image NAME below dirfd, when it is one of ours and the
 * files that it lists are there in the right size; with hash set, also with
 * the right content.  ERR_NOTFOUND without a directory, else ERR_INVALID.
 */
int image_manifest(int dirfd, const char *name, bool hash,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/* "sha256:HEX" over the sums of the files and how to run it; caller frees */
char *image_digest(const struct json *manifest);
/* Bytes of all files together. */
int64_t image_size(const struct json *manifest);

enum image_state { IMAGE_NONE, IMAGE_BUILDING, IMAGE_READY };
/* *ret_digest is the row's, or NULL; caller frees. */
int image_row(struct state *st, const char *name, enum image_state *ret,
	char **ret_digest, struct err *err)
	__attribute__((warn_unused_result));

/* The row says ready, as the manifest has it, and the event kind is added. */
int image_record(struct state *st, const struct json *manifest,
	const char *kind, struct err *err)
	__attribute__((warn_unused_result));
/* The row is gone, and the event kind with reason (or NULL) is added. */
int image_forget(struct state *st, const char *name, const char *kind,
	const char *reason, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Bring row and directory together after a crash.  *ret_line: what was done,
 * or with dry set would be (caller frees), NULL when all was well.
 */
int image_settle(struct state *st, const char *name, bool dry,
	char **ret_line, struct err *err)
	__attribute__((warn_unused_result));

#endif
