/*
 * worktree_guest: the repository of a session for a place that cannot share
 * ours, and the commits that come back from there.
 *
 *	guest_repo_make(st, &t, dir, &known, err)
 *	... dir goes to the place, as what repo/HASH.git is here, beside a copy
 *	of t.dir; the agent commits there; `git pack-objects` of HEAD ^known ...
 *	guest_repo_take(st, &t, &commits, err)
 *
 * It has the session's branch and its base, of nobody else anything, and none
 * of our configuration.  Of what comes back only objects are read, each
 * checked by git's own fsck, into refs/forge/snapshots/ID/place; then the
 * branch moves there, unless it was moved here meanwhile.
 */
#ifndef FORGE_SESSION_WORKTREE_GUEST_H
#define FORGE_SESSION_WORKTREE_GUEST_H

#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;
struct tree;

/* Make it in dir, which is made.  *known: HEAD's commit, or NULL. */
int guest_repo_make(struct state *st, const struct tree *t, const char *dir,
	char **known, struct err *err) __attribute__((warn_unused_result));

struct guest_commits {
	const char *known; /* as above */
	const char *head; /* 40 digits: where HEAD is now */
	const struct buf *pack; /* what it needs and known has not; or empty */
};

/*
 * ERR_INVALID: git's checks refuse what is in pack, or a commit is neither of
 * it nor one that the session had before (the clone has others' too);
 * ERR_BUSY: the branch moved here, and what came is kept under that ref.
 */
int guest_repo_take(struct state *st, const struct tree *t,
	const struct guest_commits *c, struct err *err)
	__attribute__((warn_unused_result));

/*
 * What the files and the branch are, as text: when it is another than before,
 * somebody here changed them.
 */
int guest_repo_mark(const struct tree *t, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
