#include "lib/session/git2.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/base/banned.h"

int
git2_start(struct err *err)
{
	static const int levels[] = { GIT_CONFIG_LEVEL_PROGRAMDATA,
		GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
		GIT_CONFIG_LEVEL_GLOBAL };
	static bool started;
	size_t i;

	if (started)
		return 0;
	if (git_libgit2_init() < 0)
		return err_set(err, ERR_SYS,
			"cannot start libgit2 %s: is it installed?",
			LIBGIT2_SOVERSION);
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (git2_search_path(levels[i], ""))
			return git2_failed(err, "libgit2");
	started = true;
	return 0;
}

int
git2_failed(struct err *err, const char *fmt, ...)
{
	const git_error *e = git_error_last();
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(err, ERR_SYS, "%s: %s", what,
		e && e->message ? e->message : "libgit2 does not say why");
}

int
git2_open(const char *door, const char *work, git_repository **ret,
	struct err *err)
{
	GIT2(git_repository) *repo = NULL;

	if (git2_start(err))
		return -1;
	if (git_repository_open_ext(&repo, door,
		    GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE |
			    GIT_REPOSITORY_OPEN_NO_DOTGIT, NULL) ||
		(work && git_repository_set_workdir(repo, work, 0)))
		return git2_failed(err, "'%s'", door);
	*ret = repo;
	repo = NULL;
	return 0;
}
