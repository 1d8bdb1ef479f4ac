#include "lib/session/place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/session.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static void
words(struct argv *ret, const char *option, const char *from, const char *to)
{
	argv_push(ret, option);
	argv_push(ret, from);
	argv_push(ret, to);
}

/* Only what is there: an agent's program may need none of it. */
static void
show(struct argv *ret, const char *path)
{
	struct stat sb;

	if (!lstat(path, &sb))
		words(ret, "--ro-bind", path, path);
}

/*
 * Of this machine only its programs.  An allow-list, since the agent has our
 * own user's right to files, and what it cannot name it cannot read.
 */
static void
system_files(struct argv *ret)
{
	static const char *const links[] = { "bin", "sbin", "lib", "lib64" };
	static const char *const etc[] = { "alternatives", "bash.bashrc",
		"group", "host.conf", "hosts", "inputrc", "ld.so.cache",
		"ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime",
		"mime.types", "nsswitch.conf", "os-release", "passwd",
		"profile", "protocols", "resolv.conf", "services",
		"ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone" };
	size_t i;

	show(ret, "/usr");
	for (i = 0; i < ARRAY_SIZE(links); i++) {
		CLEANUP_FREE char *path = xasprintf("/%s", links[i]);
		CLEANUP_FREE char *to = xasprintf("usr/%s", links[i]);
		struct stat sb;

		if (!lstat(path, &sb) && S_ISLNK(sb.st_mode))
			words(ret, "--symlink", to, path);
		else
			show(ret, path);
	}
	for (i = 0; i < ARRAY_SIZE(etc); i++) {
		CLEANUP_FREE char *path = xasprintf("/etc/%s", etc[i]);

		show(ret, path);
	}
}

/* The folder that path is in, when it is not one that is shown anyhow. */
static void
show_folder(struct argv *ret, const char *path)
{
	CLEANUP_FREE char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir || !strncmp(path, "/usr/", 5))
		return;
	*slash = '\0';
	if (strcmp(dir, "/bin") != 0 && strcmp(dir, "/sbin") != 0)
		show(ret, dir);
}

static void
show_program(struct argv *ret, const char *program)
{
	CLEANUP_FREE char *found = strchr(program, '/') ?
		realpath(program, NULL) : fs_which(program);
	CLEANUP_FREE char *real = found ? realpath(found, NULL) : NULL;

	if (!real)
		return; /* bwrap tells that it is not there */
	show_folder(ret, found);
	if (strcmp(found, real) != 0)
		show_folder(ret, real);
}

/* ---- a worktree ---- */

/* A file that git trusts: it can be neither written nor replaced. */
static void
keep_file(struct argv *ret, const char *dir, const char *name)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

	show(ret, path);
}

/*
 * The repository of a worktree of ours is outside of it.  The agent may add
 * objects and move branches there, but what makes git run programs is not
 * its own to write.
 */
static void
repository(struct state *st, struct argv *ret, const char *dir)
{
	CLEANUP_FREE char *file = xasprintf("%s/.git", dir);
	CLEANUP_FREE char *ours = xasprintf("gitdir: %s/repo/",
		state_path(st));
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_FREE char *common = NULL;
	struct err err = ERR_INIT;
	struct stat sb;
	const char *gitdir;
	char *end;

	if (lstat(file, &sb) || !S_ISREG(sb.st_mode) ||
		fs_read(AT_FDCWD, file, 8192, &b, &err))
		return;
	buf_rtrim(&b);
	end = strncmp(b.s, ours, strlen(ours)) || strstr(b.s, "/../") ?
		NULL : strstr(b.s, ".git/worktrees/");
	if (!end || strchr(end + strlen(".git/worktrees/"), '/'))
		return;
	gitdir = b.s + strlen("gitdir: ");
	common = xstrndup(gitdir, (size_t)(end + strlen(".git") - gitdir));
	words(ret, "--bind", common, common);
	keep_file(ret, common, "config");
	keep_file(ret, common, "hooks");
	keep_file(ret, common, "info");
	keep_file(ret, gitdir, "commondir");
	keep_file(ret, gitdir, "gitdir");
	keep_file(ret, dir, ".git");
}

int
place_bwrap(struct state *st, const struct session *s, const char *home,
	const char *program, struct argv *ret, struct err *err)
{
	CLEANUP_FREE char *path = fs_which("bwrap");

	if (!path)
		return err_set(err, ERR_NOTFOUND,
			"place bwrap: no bwrap in PATH: install bubblewrap");
	argv_push(ret, path);
	argv_pushv(ret, (const char *[]){ "--die-with-parent",
				"--unshare-user", "--unshare-pid",
				"--unshare-ipc", "--unshare-uts",
				"--unshare-cgroup-try", "--new-session",
				"--cap-drop", "ALL", NULL });
	system_files(ret);
	argv_pushv(ret, (const char *[]){ "--dev", "/dev", "--proc", "/proc",
				"--tmpfs", "/tmp", "--tmpfs", "/var/tmp",
				"--dir", "/run", NULL });
	show_program(ret, program);
	words(ret, "--bind", home, home);
	words(ret, "--bind", s->dir, s->dir);
	repository(st, ret, s->dir);
	argv_pushv(ret, (const char *[]){ "--remount-ro", "/", "--chdir",
				s->dir, "--", NULL });
	return 0;
}
