/*
 * cpio: an initramfs ("newc" archive), the same bytes whenever the same
 * entries were added: sorted by name, times 0, owner root, inodes counted
 * from 1.  The kernel reads several archives one after the other, so a
 * driver may append one of its own.
 *
 *	struct cpio c = CPIO_INIT;
 *	cpio_dir(&c, "dev");
 *	cpio_node(&c, "dev/console", S_IFCHR | 0600, 5, 1);
 *	cpio_file(&c, "init", 0755, p, n);
 *	if (cpio_write(&c, &buf, err)) ...
 *	cpio_release(&c);
 */
#ifndef FORGE_VM_CPIO_H
#define FORGE_VM_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct cpio_entry;

struct cpio {
	struct cpio_entry *v;
	size_t n, alloc;
};

#define CPIO_INIT ((struct cpio){ .v = NULL })
#define CLEANUP_CPIO __attribute__((cleanup(cpio_release)))
void cpio_release(struct cpio *c);

/* Paths have no leading slash and are copied; data is borrowed. */
void cpio_dir(struct cpio *c, const char *path);
void cpio_file(struct cpio *c, const char *path, mode_t mode, const void *p,
	size_t n);
void cpio_symlink(struct cpio *c, const char *path, const char *target);
void cpio_node(struct cpio *c, const char *path, mode_t mode, unsigned major,
	unsigned minor);

/*
 * The whole archive, added to out, padded to 512 bytes.  ERR_INVALID for an
 * empty or absolute path, one with "..", one that is there twice, one whose
 * parent is not there, or a file beyond 4 GiB.
 */
int cpio_write(struct cpio *c, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
