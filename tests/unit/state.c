#include "lib/state/state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/cmd.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static void
test_place(void)
{
	CLEANUP_STATE struct state *st = NULL;
	struct err err = ERR_INIT;
	char want[256];
	struct stat s;

	unsetenv("FORGE_STATE");
	common.state = xstrdup("deep/er/state");
	ok(!state_open(&st, &err), "a new directory is made");
	snprintf(want, sizeof(want), "%s/deep/er/state", tmp_path);
	is_str(state_path(st), want, "its name is absolute");
	is_str(getenv("FORGE_STATE"), want, "children are told");
	ok(!stat(want, &s) && (s.st_mode & 07777) == 0700, "it is private");
	ok(faccessat(state_dir(st), "forge.db", F_OK, 0) && errno == ENOENT,
		"no database before it is asked for");
	free(common.state);
	common.state = NULL;
}

static void
test_environment(void)
{
	CLEANUP_STATE struct state *a = NULL, *b = NULL;
	struct err err = ERR_INIT;
	char want[256];

	setenv("FORGE_STATE", "env", 1);
	ok(!state_open(&a, &err), "$FORGE_STATE");
	snprintf(want, sizeof(want), "%s/env", tmp_path);
	is_str(state_path(a), want, "is used");
	common.state = xstrdup("option");
	ok(!state_open(&b, &err), "-C");
	snprintf(want, sizeof(want), "%s/option", tmp_path);
	is_str(state_path(b), want, "comes before $FORGE_STATE");
	free(common.state);
	common.state = NULL;
}

static void
refused(const char *path, const char *want, const char *name)
{
	struct err err = ERR_INIT;
	struct state *st = NULL;

	setenv("FORGE_STATE", path, 1);
	ok(state_open(&st, &err) == -1, name);
	is_str(err.msg, want, "with a clear line");
	is_str(getenv("FORGE_STATE"), path, "$FORGE_STATE stays");
}

static void
test_refused(void)
{
	char want[512];

	if (mkdir("loose", 0700) || chmod("loose", 0770))
		return;
	snprintf(want, sizeof(want), "others may write to state directory "
		"'%s/loose': run chmod go-w on it", tmp_path);
	refused("loose", want, "a directory that others may write to");
	tmp_write("file", "");
	snprintf(want, sizeof(want), "cannot open state directory '%s/file': "
		"Not a directory", tmp_path);
	refused("file", want, "a file");
	if (geteuid()) {
		skip("somebody else's directory", "not root");
		return;
	}
	if (mkdir("theirs", 0700) || chown("theirs", 4711, 4711))
		return;
	snprintf(want, sizeof(want), "state directory '%s/theirs' belongs to "
		"user 4711, not to us (0): choose another with -C or "
		"$FORGE_STATE", tmp_path);
	refused("theirs", want, "somebody else's directory");
}

static void
test_locks(void)
{
	CLEANUP_STATE struct state *st = NULL;
	struct err err = ERR_INIT;
	int fd = -1, second = -1;

	setenv("FORGE_STATE", "locks", 1);
	ok(!state_open(&st, &err), "open");
	is_int(state_locked(st, "vm", "web-1", &err), 0, "no lock: free");
	ok(!state_lock(st, "vm", "web-1", 0, 0, &fd, &err), "take");
	is_int(state_locked(st, "vm", "web-1", &err), 1, "held");
	ok(state_lock(st, "vm", "web-1", 0, 0, &second, &err) == -1 &&
		err.code == ERR_BUSY, "a second time: busy");
	close(fd);
	is_int(state_locked(st, "vm", "web-1", &err), 0, "closed: free");
	ok(!state_lock(st, "watch", NULL, 0, 0, &fd, &err), "without a name");
	ok(!faccessat(state_dir(st), "run/watch", F_OK, 0), "run/watch");
	close(fd);
	ok(state_lock(st, "vm", "../../x", 0, 0, &fd, &err) == -1 &&
		err.code == ERR_USAGE, "a name is no path");
}

static void
test_db(void)
{
	CLEANUP_STATE struct state *st = NULL;
	struct err err = ERR_INIT;
	struct db *a = NULL, *b = NULL;
	struct stat s;

	setenv("FORGE_STATE", "db", 1);
	ok(!state_open(&st, &err) && !state_db(st, &a, &err) &&
		!state_db(st, &b, &err), "the database opens");
	ok(a == b, "once");
	ok(!fstatat(state_dir(st), "forge.db", &s, 0) &&
		(s.st_mode & 07777) == 0600, "private");
}

int
main(void)
{
	tmp_enter();
	test_place();
	test_environment();
	test_refused();
	test_locks();
	test_db();
	tmp_leave();
	return done();
}
