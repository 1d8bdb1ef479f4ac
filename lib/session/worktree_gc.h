/*
 * worktree_gc: what sessions that are over leave in repositories.
 *
 * Never removed is work that nobody else has: files that are in no commit,
 * and commits that are not at the repository it came from, unless they were
 * put into a bundle first, STATE/bundle/ID[-NAME]-TIME.bundle, which git
 * itself has verified.  A user's own checkout (--local) is left as it is.
 */
#ifndef FORGE_SESSION_WORKTREE_GC_H
#define FORGE_SESSION_WORKTREE_GC_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

enum gc_flags {
	GC_DRY_RUN = 1 << 0, /* only say what would be done */
	GC_BUNDLE = 1 << 1, /* bundle what nobody else has, then remove */
};

/*
 * Worktree, branch and snapshots of the session id; NULL: of all that are
 * over.  emit (or NULL) gets {"session", "name", "repo", "removed", "why":
 * why not, or null, "bundle": path or null} for each.
 */
int worktree_gc(struct state *st, const char *id, unsigned flags,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

/* Before a session is forgotten; ERR_BUSY: it has work nobody else has. */
int worktree_forget(struct state *st, const char *id, struct err *err)
	__attribute__((warn_unused_result));

#endif
