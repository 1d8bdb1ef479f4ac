/*
 * memfile: bytes that another program can open by a path and that are on no
 * disk: private keys for ssh and ssh-keygen, answers of credential helpers.
 *
 * The path is below /proc of this process; mode 0600, so ssh takes it.  It
 * is gone when the fd is closed or we die, whichever way.
 *
 *	CLEANUP_MEMFILE struct memfile key = MEMFILE_INIT;
 *	if (memfile_open(&key, text, len, err)) return -1;
 *	argv_pushf(&p.argv, "-oIdentityFile=%s", key.path);
 */
#ifndef FORGE_SESSION_MEMFILE_H
#define FORGE_SESSION_MEMFILE_H

#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct memfile {
	int fd; /* -1: not open */
	char path[64];
};

#define MEMFILE_INIT ((struct memfile){ .fd = -1 })
#define CLEANUP_MEMFILE __attribute__((cleanup(memfile_close)))

int memfile_open(struct memfile *f, const void *p, size_t n, struct err *err)
	__attribute__((warn_unused_result));
/* What is in it now, at most max bytes, added to ret. */
int memfile_read(const struct memfile *f, size_t max, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));
void memfile_close(struct memfile *f);

#endif
