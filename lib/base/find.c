#include "lib/base/fs.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* The directory of our own executable, or NULL; caller frees. */
static char *
own_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return xstrdup(path);
}

static bool
try_path(char *path, char **ret)
{
	if (fs_executable(path)) {
		*ret = path;
		return true;
	}
	free(path);
	return false;
}

int
find_helper(const char *name, char **ret, struct err *err)
{
	const char *env = getenv("FORGE_LIBEXEC");
	CLEANUP_FREE char *own = own_dir();

	if (env && *env)
		return try_path(xasprintf("%s/%s", env, name), ret) ? 0 :
			err_set(err, ERR_NOTFOUND,
				"no '%s' in $FORGE_LIBEXEC (%s)", name, env);
	if (own && try_path(xasprintf("%s/../libexec/%s", own, name), ret))
		return 0;
	if (try_path(xasprintf("%s/%s", FORGE_LIBEXECDIR, name), ret))
		return 0;
	return err_set(err, ERR_NOTFOUND,
		"no '%s' beside this program or in %s: reinstall forge, or "
		"set $FORGE_LIBEXEC", name, FORGE_LIBEXECDIR);
}

int
find_program(const char *name, char **ret, struct err *err)
{
	CLEANUP_FREE char *own = own_dir();

	if (own && try_path(xasprintf("%s/%s", own, name), ret))
		return 0;
	*ret = fs_which(name);
	if (*ret)
		return 0;
	return err_set(err, ERR_NOTFOUND,
		"no '%s' beside this program or in PATH", name);
}

int
find_data(const char *name, char **ret, struct err *err)
{
	const char *env = getenv("FORGE_SHARE");
	CLEANUP_FREE char *own = own_dir();
	char *path;

	if (env && *env)
		path = xasprintf("%s/%s", env, name);
	else
		path = xasprintf("%s/../share/forge/%s", own ? own : "", name);
	if (access(path, R_OK) && !(env && *env)) {
		free(path);
		path = xasprintf("%s/%s", FORGE_DATADIR, name);
	}
	if (!access(path, R_OK)) {
		*ret = path;
		return 0;
	}
	free(path);
	return err_set(err, ERR_NOTFOUND,
		"no '%s' beside this program or in %s: reinstall forge, or "
		"set $FORGE_SHARE", name, FORGE_DATADIR);
}
