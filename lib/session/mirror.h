/*
 * mirror: make one directory hold what another holds.
 *
 * What comes out of a place that nobody trusts is put aside first, and then,
 * by this, into the directory that others look at.  Files, symbolic links and
 * directories are taken, other things are not; a file that has the same bytes
 * and mode already is left alone, and so its times; another gets its name only
 * when it is whole.  from is not changed but for the owners of its files, so
 * that one that was killed can be done again.
 *
 * Nothing is written through a symbolic link.  All becomes the property of
 * to's owner, without set-user-ID or set-group-ID.
 */
#ifndef FORGE_SESSION_MIRROR_H
#define FORGE_SESSION_MIRROR_H

#include <stdbool.h>
#include "lib/base/err.h"

/*
 * Both are there.  keep_git: what is called .git, at any depth and in any
 * case, is neither taken nor replaced; a directory that is gone goes with it.
 */
int mirror(const char *from, const char *to, bool keep_git, struct err *err)
	__attribute__((warn_unused_result));

#endif
