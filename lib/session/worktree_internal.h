/* Between the files of worktree. */
#ifndef FORGE_SESSION_WORKTREE_INTERNAL_H
#define FORGE_SESSION_WORKTREE_INTERNAL_H

#include "lib/session/git2.h"
#include "lib/session/identity.h"
#include "lib/session/worktree.h"

struct db;
struct db_value;

/* A row of the table worktree, and where its door is. */
struct tree {
	char *session, *name;
	char *repo; /* URL or path */
	char *hash; /* NULL: the user's own checkout */
	char *base, *base_commit; /* NULL: the repository was empty */
	char *branch;
	char *dir;
	char *state;
	char *pushed, *pushed_branch, *request;
	char *door;
	char *git; /* the directory with its HEAD: worktrees/ID, or .git */
};

struct trees {
	struct tree *v;
	size_t n;
};

#define TREES_INIT ((struct trees){ 0 })
#define CLEANUP_TREES __attribute__((cleanup(trees_release)))
void trees_release(struct trees *t);

/* Those of a session, by name; none is no error.  id NULL: of all. */
int trees_load(struct state *st, const char *id, struct trees *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Likewise, but ERR_NOTFOUND when the session has no repository, or it is
 * not checked out yet. */
int trees_need(struct state *st, const struct session *s, struct trees *ret,
	struct err *err) __attribute__((warn_unused_result));

/* The door of t with its files. */
int tree_open(const struct tree *t, git_repository **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * What HEAD says: *ret_ref is the full name of its branch (NULL: none, HEAD
 * is a commit); *ret_commit NULL when nothing was committed yet.
 */
int tree_head(git_repository *repo, char **ret_ref, git_commit **ret_commit,
	struct err *err) __attribute__((warn_unused_result));

/*
 * All files that are not ignored, as the tree *ret_tree; kept in the door's
 * own index, so that the next time only what changed is read.
 */
int tree_write(git_repository *repo, git_oid *ret_tree, struct err *err)
	__attribute__((warn_unused_result));

/* The agent's own index becomes that of tree. */
int tree_write_index(const struct tree *t, git_repository *repo,
	const git_tree *tree, struct err *err)
	__attribute__((warn_unused_result));

/* 1 files differ from HEAD, 0 they do not, -1. */
int tree_dirty(git_repository *repo, struct err *err)
	__attribute__((warn_unused_result));

/* "refs/forge/snapshots/ID/WHAT[/NAME]"; caller frees. */
char *snapshot_ref(const struct tree *t, const char *what);
/* The files of t as they are, under that name; again: in place of one that
 * is there, which otherwise stays and is *ret. */
int snapshot_take(const struct tree *t, const char *what,
	const char *message, bool again, git_oid *ret, struct err *err)
	__attribute__((warn_unused_result));

/* The identity of the session; without one an author of no consequence. */
int session_identity(struct state *st, const struct session *s,
	struct identity *ret, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_USAGE unless it can be a branch's name. */
int worktree_check_branch(const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* The commits since the base, oldest first. */
int tree_walk(git_repository *repo, const struct tree *t, git_revwalk **ret,
	struct err *err) __attribute__((warn_unused_result));

/* One line that says what the session is for; caller frees. */
int worktree_subject(struct state *st, const struct session *s, char **ret,
	struct err *err) __attribute__((warn_unused_result));

/* The session is not in the middle of a turn; ERR_BUSY. */
int session_quiet(const struct session *s, struct err *err)
	__attribute__((warn_unused_result));

/* An event of a session that no state goes with. */
int session_note(struct state *st, const char *kind, const char *id,
	struct json *data, const char *sql, const struct db_value *values,
	struct err *err) __attribute__((warn_unused_result));

#endif
