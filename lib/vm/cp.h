/*
 * cp: files, directories and links between this host and a running VM,
 * through its channel, whatever the image has or has not installed.
 *
 * Permissions, numeric owners (as root), modification times, symbolic and hard
 * links and holes are kept; extended attributes are not.  Where things go is
 * as with cp(1): into the destination when that is a directory, else they
 * become it; a source that ends in "/." means its content.  "-" on this side
 * is a tar stream.  A file is at its place whole or not at all, also when
 * either side is killed (tree.h).
 *
 * What a VM sends is not trusted: nothing of it is put anywhere but below the
 * name that was asked for, it gets no set-user-ID bit, and devices and FIFOs
 * only with CP_DEVICES.
 */
#ifndef FORGE_VM_CP_H
#define FORGE_VM_CP_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;

enum cp_flags {
	CP_DEVICES = 1 << 0, /* device nodes and FIFOs too */
};

struct cp {
	char *vm; /* ours to release */
	const char *inside; /* path in the VM */
	const char *outside; /* path here, or "-" */
	bool to_vm;
	const char *user; /* in the VM; or NULL */
	unsigned flags;
	uint64_t max; /* bytes that may come from the VM; UINT64_MAX */
};

/* One of the two is VM:PATH (no '/' before the colon).  ERR_USAGE. */
int cp_parse(const char *src, const char *dst, struct cp *ret,
	struct err *err) __attribute__((warn_unused_result));
void cp_release(struct cp *c);

/*
 * Returns when everything is there.  What was left out is in notes, a line
 * each, cleaned, and makes it fail at the end.  ERR_NOTFOUND: no such VM, or
 * path; ERR_LIMIT: more than max; ERR_INVALID: the VM does not keep to the
 * rules.
 */
int cp_run(struct state *st, const struct cp *c, struct buf *notes,
	struct err *err) __attribute__((warn_unused_result));

#endif
