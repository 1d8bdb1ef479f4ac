/*
 * worktree: what a session works in, and what it made there.
 *
 *	worktree_plan(st, &s, repos, local, err)	before session_create()
 *	worktree_make(st, &s, &dir, err)		by the supervisor
 *	session_dir_is(db, s.id, dir, err)
 *	worktree_env(st, &s, &env, err)			for the agent
 *	worktree_snapshot(st, &s, turn, &data, err)	before each turn
 *	...
 *	worktree_done(st, &s, "push,pr", &data, err)	--on-done
 *
 * Of one repository the worktree is session/ID/work, on branch session/ID or
 * the one that was chosen; of several each is session/ID/work/NAME.  With
 * local it is the user's own checkout, as it is, on its own branch.
 *
 * A row of the table worktree goes before each act, so any of these calls
 * finishes what a killed one began.  Git's own files are read and written
 * through session/ID/door/NAME (see repo.h), which must not be given to a
 * place; what a place needs are work, and the repository's directory
 * (worktree_each() has both).
 */
#ifndef FORGE_SESSION_WORKTREE_H
#define FORGE_SESSION_WORKTREE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/session/session.h"

struct state;

/*
 * Fill in s->repo, base, branch and options ("repos": [{"name", "url",
 * "base"}], "local") from what was asked for: repos as given, each an address
 * (see remote.h), "#BRANCH" after it to begin from that branch.  s->id,
 * identity and, where chosen, base and branch are there already.  Nothing is
 * called yet.  ERR_USAGE, ERR_NOTFOUND.
 */
int worktree_plan(struct state *st, struct session *s,
	const struct argv *repos, bool local, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Fetch and check out whatever is not there yet.  *ret_dir (caller frees):
 * where the agent begins.  A session without a repository has none: then it
 * does nothing and *ret_dir is NULL.
 */
int worktree_make(struct state *st, const struct session *s, char **ret_dir,
	struct err *err) __attribute__((warn_unused_result));

/* NAME=VALUE for the agent: its author, no hooks, no config of others. */
int worktree_env(struct state *st, const struct session *s,
	struct argv *ret, struct err *err) __attribute__((warn_unused_result));

/*
 * Keep all files that are not ignored as the commit
 * refs/forge/snapshots/ID/TURN (with "/NAME" of several), which no branch
 * has.  *ret (or NULL): {"turn", "commits": [...]}, for the transcript.
 */
int worktree_snapshot(struct state *st, const struct session *s, int64_t turn,
	struct json **ret, struct err *err) __attribute__((warn_unused_result));

/*
 * Files and branch as before that turn (0: the last one); what is there now
 * is kept as the snapshot "undo".  ERR_BUSY while a turn runs; ERR_NOTFOUND.
 */
int worktree_revert(struct state *st, const struct session *s, int64_t turn,
	struct err *err) __attribute__((warn_unused_result));

/*
 * All that the session changed since its base, as a patch (--stat: a line
 * for each file), committed or not, ignored files left out.  emit gets text
 * in pieces; -1 of it stops.
 */
int worktree_diff(struct state *st, const struct session *s, bool stat,
	int (*emit)(const char *text, size_t n, void *arg, struct err *err),
	void *arg, struct err *err) __attribute__((warn_unused_result));

/*
 * Its commits as git format-patch has them, oldest first.  *ret_dirty: there
 * is more that was not committed.
 */
int worktree_patch(struct state *st, const struct session *s,
	int (*emit)(const char *text, size_t n, void *arg, struct err *err),
	void *arg, bool *ret_dirty, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Commit all that is not ignored.  message NULL: made up from the session.
 * Author and signature are the identity's.  *ret_count: commits made, one
 * for each repository that had changes.
 */
int worktree_commit(struct state *st, const struct session *s,
	const char *message, int *ret_count, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Push what was committed to branch (NULL: the session's own) of the
 * repository it came from; emit gets {"name", "url", "branch", "commit",
 * "pushed": false when it was there already} for each.
 */
int worktree_push(struct state *st, const struct session *s,
	const char *branch, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));

/*
 * What --on-done names, in order: "commit", "push", "pr"; push commits what
 * was not.  *ret (or NULL): {"pushed": [...], "requests": [...]}.
 */
int worktree_done(struct state *st, const struct session *s,
	const char *actions, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* Is it a list of those?  ERR_USAGE. */
int worktree_check_actions(const char *actions, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Each row: {"session", "name", "repo", "git": directory with its
 * HEAD (of a clone: repo/HASH.git/worktrees/...), "base", "base_commit", "branch", "dir",
 * "state", "pushed", "request"}; id NULL: of all sessions.
 */
int worktree_each(struct state *st, const char *id,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
