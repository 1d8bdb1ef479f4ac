/* What a place gives back, put where it belongs. */
#include "lib/session/mirror.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static void
make(const char *path)
{
	struct err err = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, path, 0755, &err))
		printf("Bail out! %s\n", err.msg);
}

/* What the file has; "" without one. */
static const char *
get(const char *path)
{
	static char text[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		(void)close(fd);
	return text;
}

static bool
there(const char *path)
{
	return fs_exists(AT_FDCWD, path);
}

static int
run(bool keep_git)
{
	struct err err = ERR_INIT;
	int rc = mirror("from", "to", keep_git, &err);

	if (rc)
		printf("# %s\n", err.msg);
	return rc;
}

static void
plain(void)
{
	struct stat a, b;

	make("from/d/e");
	make("to/old/deep");
	tmp_write("from/same", "same");
	tmp_write("to/same", "same");
	tmp_write("from/new", "one");
	tmp_write("to/new", "old");
	tmp_write("from/d/e/f", "f");
	tmp_write("to/old/deep/x", "x");
	tmp_write("to/gone", "gone");
	if (stat("to/same", &a) || symlink("nowhere", "from/link") ||
		chmod("from/new", 04755) || mkfifo("from/pipe", 0600))
		printf("Bail out! files\n");
	is_int(run(true), 0, "a tree");
	is_str(get("to/new"), "one", "a file that changed");
	is_str(get("to/d/e/f"), "f", "one that is new");
	ok(!there("to/gone") && !there("to/old"), "what is gone goes");
	ok(!stat("to/same", &b) && a.st_ino == b.st_ino,
		"what is the same is left alone");
	ok(!stat("to/new", &b) && (b.st_mode & 07777) == 0755,
		"no set-user-ID");
	ok(!lstat("to/link", &b) && S_ISLNK(b.st_mode), "a link as a link");
	ok(!there("to/pipe"), "no pipe");
	is_int(run(true), 0, "again");
	is_str(get("from/new"), "one", "and what it is of is still there");
}

static void
git(void)
{
	make("from/.git/hooks");
	make("from/sub/.GIT");
	tmp_write("from/.git/config", "evil");
	tmp_write("from/sub/.GIT/config", "evil");
	tmp_write("from/sub/file", "file");
	tmp_write("to/.git", "gitdir: x");
	is_int(run(true), 0, "with .git");
	is_str(get("to/.git"), "gitdir: x", "ours stays");
	ok(!there("to/sub/.GIT") && there("to/sub/file"),
		"none comes, in whatever case");
	is_int(run(false), 0, "unless it is wanted");
	is_str(get("to/.git/config"), "evil", "as in a HOME");
}

/* What was brought back before may lie in wait for what comes now. */
static void
traps(void)
{
	make("outside");
	tmp_write("outside/file", "mine");
	make("from/trap");
	tmp_write("from/trap/file", "evil");
	tmp_write("from/victim", "evil");
	(void)!unlink("to/victim");
	if (symlink("../outside", "to/trap") ||
		symlink("../outside/file", "to/victim"))
		printf("Bail out! links\n");
	is_int(run(true), 0, "links where directories and files go");
	is_str(get("outside/file"), "mine", "nothing goes through them");
	is_str(get("to/trap/file"), "evil", "they are replaced");
	is_str(get("to/victim"), "evil", "both");
	make("to/dir/below");
	tmp_write("from/dir", "file now");
	is_int(run(true), 0, "a file where a directory was");
	is_str(get("to/dir"), "file now", "is a file");
	tmp_write("to/.forge-mirror", "left");
	tmp_write("from/victim", "more");
	is_int(run(true), 0, "after one that was killed");
	ok(!strcmp(get("to/victim"), "more") && !there("to/.forge-mirror"),
		"nothing of that is left");
}

static void
deep(void)
{
	char path[PATH_MAX] = "from";
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < 300; i++)
		(void)strncat(path, "/d", sizeof(path) - strlen(path) - 1);
	make(path);
	is_int(mirror("from", "to", true, &err), -1, "too deep");
	is_int(err.code, ERR_LIMIT, "is refused");
}

int
main(void)
{
	tmp_enter();
	make("from");
	make("to");
	plain();
	git();
	traps();
	deep();
	tmp_leave();
	return done();
}
