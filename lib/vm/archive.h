/*
 * archive: what all users of libarchive here share: reading archives that
 * nobody trusts, and errors in our form.
 */
#ifndef FORGE_VM_ARCHIVE_H
#define FORGE_VM_ARCHIVE_H

#include <archive.h>
#include <archive_entry.h>
#include "lib/base/err.h"

#define CLEANUP_ARCHIVE __attribute__((cleanup(archive_cleanup)))
void archive_cleanup(struct archive **a);

/*
 * A reader of the compressed forms that libarchive undoes by itself; a
 * filter that it would start a program for is not known here.  The caller
 * adds the formats.
 */
struct archive *archive_reader(void);
/* For tar files of any kind, from the beginning of fd, which stays open. */
int archive_open_tar(int fd, const char *what, struct archive **ret,
	struct err *err) __attribute__((warn_unused_result));
/* 1 an entry, 0 the end, -1: ERR_INVALID. */
int archive_next(struct archive *a, const char *what,
	struct archive_entry **ret, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_INVALID with "what: " and libarchive's reason; -1. */
int archive_fail(struct archive *a, const char *what, struct err *err);

#endif
