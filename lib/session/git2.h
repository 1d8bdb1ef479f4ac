/*
 * git2: what lib/session needs beside libgit2 itself: its start, its errors,
 * and objects that free themselves.  Internal to lib/session.
 *
 * libgit2 runs no hook, no filter program and no fsmonitor; here it also
 * reads no configuration but a door's (repo.h).
 */
#ifndef FORGE_SESSION_GIT2_H
#define FORGE_SESSION_GIT2_H

#include <git2.h>
#include "lib/base/err.h"

/* Before the first call; again costs nothing. */
int git2_start(struct err *err) __attribute__((warn_unused_result));

/* git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH): git2_load.c */
int git2_search_path(int level, const char *path);

/* What libgit2 says went wrong, after the format and ": "; always -1. */
int git2_failed(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The door as a repository; work (or NULL): where its files are. */
int git2_open(const char *door, const char *work, git_repository **ret,
	struct err *err) __attribute__((warn_unused_result));

#define GIT2_CLEANUP(type)                      \
	static inline void cleanup_##type(type **p) \
	{                                           \
		if (*p)                             \
			type##_free(*p);            \
	}
GIT2_CLEANUP(git_repository)
GIT2_CLEANUP(git_reference)
GIT2_CLEANUP(git_commit)
GIT2_CLEANUP(git_tree)
GIT2_CLEANUP(git_index)
GIT2_CLEANUP(git_diff)
GIT2_CLEANUP(git_diff_stats)
GIT2_CLEANUP(git_signature)
GIT2_CLEANUP(git_revwalk)
GIT2_CLEANUP(git_status_list)
GIT2_CLEANUP(git_reference_iterator)
GIT2_CLEANUP(git_odb)
#define GIT2(type) __attribute__((cleanup(cleanup_##type))) type

#endif
