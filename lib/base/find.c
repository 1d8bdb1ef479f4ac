#include "lib/base/fs.h"

#include <fcntl.h>
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
try_path(char *path, bool exec, char **ret)
{
	if (exec ? fs_executable(path) : fs_exists(AT_FDCWD, path)) {
		*ret = path;
		return true;
	}
	free(path);
	return false;
}

/* $VARIABLE/NAME, OWN/RELATIVE/NAME, INSTALLED/NAME in this order. */
static int
find_file(const char *variable, const char *relative, const char *installed,
	const char *name, bool exec, char **ret, struct err *err)
{
	const char *env = getenv(variable);
	CLEANUP_FREE char *own = own_dir();

	if (env && *env)
		return try_path(xasprintf("%s/%s", env, name), exec, ret) ? 0 :
			err_set(err, ERR_NOTFOUND,
				"no '%s' in $%s (%s)", name, variable, env);
	if (own && try_path(xasprintf("%s/%s/%s", own, relative, name), exec,
		ret))
		return 0;
	if (try_path(xasprintf("%s/%s", installed, name), exec, ret))
		return 0;
	return err_set(err, ERR_NOTFOUND,
		"no '%s' beside this program or in %s: reinstall forge, or "
		"set $%s", name, installed, variable);
}

int
find_helper(const char *name, char **ret, struct err *err)
{
	return find_file("FORGE_LIBEXEC", "../libexec", FORGE_LIBEXECDIR, name,
		true, ret, err);
}

int
find_share(const char *name, char **ret, struct err *err)
{
	return find_file("FORGE_SHARE", "../../share", FORGE_DATADIR, name,
		false, ret, err);
}

int
find_program(const char *name, char **ret, struct err *err)
{
	CLEANUP_FREE char *own = own_dir();

	if (own && try_path(xasprintf("%s/%s", own, name), true, ret))
		return 0;
	*ret = fs_which(name);
	if (*ret)
		return 0;
	return err_set(err, ERR_NOTFOUND,
		"no '%s' beside this program or in PATH", name);
}
