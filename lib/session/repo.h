/*
 * repo: bare clones, one for each URL, that all sessions share.
 *
 *	STATE/repo/HASH.git	objects and refs; the common directory of the
 *				worktrees, so agents write to it
 *	STATE/repo/HASH.door	our way in: links to those objects and refs
 *				beside a config file that is ours
 *	STATE/known_hosts	host keys: accepted once, then never another
 *
 * What an agent can write is never believed: every git of ours, and libgit2,
 * works with GIT_DIR = a door.  So hooks, filters, fsmonitor, ssh commands
 * and whatever else the config of a repository may name is not even read; no
 * system or global config is; submodules are never followed.
 *
 * Fetched is +refs/heads/<all>:refs/remotes/origin/<all> and nothing else, so
 * the sessions' own branches (refs/heads) are nobody's but theirs.
 */
#ifndef FORGE_SESSION_REPO_H
#define FORGE_SESSION_REPO_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/session/remote.h"

struct state;

/*
 * The clone of r, as new as the call: made or fetched under the lock
 * run/repo/HASH.  Of many calls at once one fetches for those that waited.
 * identity (or NULL) has the key.  ERR_AUTH: the host key is another one, or
 * the host does not accept our key; ERR_NOTFOUND; ERR_NET; ERR_TIMEOUT.
 */
int repo_sync(struct state *st, const struct remote *r, const char *identity,
	struct err *err) __attribute__((warn_unused_result));

/* Absolute, caller frees. */
char *repo_path(struct state *st, const char *hash); /* HASH.git */
char *repo_door(struct state *st, const char *hash); /* HASH.door */

/*
 * A door: a directory that is a repository to git, with a config of ours and
 * the objects and refs of common (absolute).  head (or NULL): the HEAD of a
 * worktree, which it then shares.  Once made it is left as it is.
 */
int repo_make_door(const char *door, const char *common, const char *head,
	struct err *err) __attribute__((warn_unused_result));

/* One git, with nothing of the caller's environment or configuration. */
struct repo_git {
	struct state *st;
	const char *door; /* GIT_DIR */
	const char *identity; /* whose key and token; or NULL */
	const struct remote *remote; /* for messages; NULL: none is called */
	int64_t timeout_ms; /* 0: 10 min */
	size_t max; /* bytes of out; 0: 1 MiB */
	const struct buf *input; /* its stdin; NULL: none */
};

/*
 * git WORDS...; out (or NULL) gets its stdout.  What it complains of becomes
 * one line that says what to do.
 */
int repo_git(const struct repo_git *g, const struct argv *words,
	struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
