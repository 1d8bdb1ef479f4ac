/* Between the files of repo. */
#ifndef FORGE_SESSION_REPO_INTERNAL_H
#define FORGE_SESSION_REPO_INTERNAL_H

#include "lib/session/repo.h"

/* refs/remotes/origin/HEAD. */
bool repo_has_default(const char *door);
int repo_set_default(const char *door, const char *branch, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Does the clone have what the repository at a path has now?  Then git need
 * not be asked, which takes it ten times as long.  When in doubt: false.
 */
bool repo_is_current(const struct repo_git *g);

#endif
