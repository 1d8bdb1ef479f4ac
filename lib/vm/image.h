/*
 * image: what a VM boots from.
 *
 * STATE/image/NAME/ holds kernel (an uncompressed ELF vmlinux), initramfs
 * (forge-init and modules, an uncompressed cpio), root (erofs, read-only;
 * absent: the initramfs is the root) and manifest.json.  A directory is
 * immutable: it is made aside and published by rename.  A VM that boots from
 * it holds the lock run/image/NAME shared for its whole life; removing or
 * replacing takes it alone, and says so when it cannot.
 *
 * A template is only a manifest: what it names is on another machine.
 *
 * manifest.json: {"name","base","digest","created_at","kernel_version",
 * "rootfs","env":["A=B"],"user","workdir","entrypoint":[],"cmd":[],"template","files":
 * {"kernel":{"size","sha256"},...}}.
 */
#ifndef FORGE_VM_IMAGE_H
#define FORGE_VM_IMAGE_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/tell.h"
#include "lib/base/json.h"

struct state;

struct image {
	char *name;
	char *kernel; /* absolute paths; NULL of a template */
	char *initramfs;
	char *root; /* or NULL */
	char *rootfs; /* "erofs", or NULL */
	char *template; /* its name on another machine (driver.h), or NULL */
	struct json *manifest;
	int lock; /* shared lock, or -1 */
};

#define IMAGE_INIT ((struct image){ .lock = -1 })
#define CLEANUP_IMAGE __attribute__((cleanup(image_release)))
void image_release(struct image *im);

/*
 * Open for booting, with the shared lock.  ERR_NOTFOUND says which images
 * there are, or how to build one.
 */
int image_open(struct state *st, const char *name, struct image *ret,
	struct err *err) __attribute__((warn_unused_result));

/* {"name","state","base","digest","size","created_at","used_at"} each, by name. */
int image_each(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* One row with "manifest" and "path" added; ERR_NOTFOUND. */
int image_show(struct state *st, const char *name, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));
/* ERR_NOTFOUND; ERR_BUSY while a VM boots or runs from it. */
int image_remove(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Remove the images from which no VM was booted for older_than ms, and no VM
 * that has a row, running or not, was booted from.  found() gets a line for
 * each; with dry, nothing is removed.
 */
struct image_gc {
	int64_t older_than;
	int dry;
	tell_fn *found;
};
int image_collect(struct state *st, const struct image_gc *gc,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Finish or undo what a killed build left: rows in 'building' whose lock is
 * free, directories without a row, temporary directories.  With dry set,
 * only tell.  found() gets one line each.
 */
int image_fsck(struct state *st, int dry, tell_fn *found, struct err *err)
	__attribute__((warn_unused_result));

#endif
