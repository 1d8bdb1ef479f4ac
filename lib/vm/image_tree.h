/*
 * image_tree: the root of an image as a directory, for places that have no
 * kernel of their own to mount it.
 *
 * image/NAME/tree is unpacked once, at the first use, and goes with the
 * image.  It is made as image/NAME/.tree under the lock run/tree/NAME and
 * renamed when it is on disk; who is killed leaves a .tree that the next
 * one, or fsck, removes.
 *
 * Unpacked by root, its files belong to TREE_ID_BASE + their owner: IDs that
 * are nobody's on the host, mapped to 0 and up in the place, so that root
 * there is nobody here.  Unpacked by an ordinary user (or where those IDs
 * are not to be had) all files are the caller's own, who is root in the
 * place and can be nobody else there.
 */
#ifndef FORGE_VM_IMAGE_TREE_H
#define FORGE_VM_IMAGE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

struct state;
struct image;

/* Free for all purposes by systemd's list of ranges. */
#define TREE_ID_BASE 0x70000000u
#define TREE_IDS 65536u

/*
 * The absolute path, caller frees; *ret_base TREE_ID_BASE, or 0 when the
 * files are, or would be, our own.
 */
char *image_tree(struct state *st, const struct image *im,
	uint32_t *ret_base);
/*
 * Unpack it if it is not there.  ERR_INVALID when the image has no root, or
 * one that cannot be unpacked.  The image is open, so it stays.
 */
int image_tree_make(struct state *st, const struct image *im, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Is there a half unpacked tree that nobody works at?  1 yes, and it is
 * removed unless dry; 0 no.  The image's lock is held alone.
 */
int image_tree_settle(struct state *st, const char *name, bool dry,
	struct err *err) __attribute__((warn_unused_result));

#endif
