#include "drivers/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/image_tree.h"
#include "lib/base/banned.h"

static int
write_map(pid_t pid, const char *what, const char *text)
{
	char path[64];
	int fd, rc;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = write_all(fd, text, strlen(text));
	(void)close(fd); /* the kernel took it, or write said no */
	return rc;
}

/*
 * A range is mapped from outside: this child stays there.  It waits for
 * the byte that says that the namespace is made.
 */
_Noreturn static void
map_from_outside(pid_t parent, int go, uint32_t base)
{
	char text[64], byte;

	(void)snprintf(text, sizeof(text), "0 %u %u\n", base, TREE_IDS);
	if (read(go, &byte, 1) != 1 || write_map(parent, "uid_map", text) ||
		write_map(parent, "gid_map", text))
		_exit(1);
	_exit(0);
}

static int
enter_range(uint32_t base, struct err *err)
{
	pid_t self = getpid(), child;
	int go[2], status;

	if (pipe2(go, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	child = fork();
	if (child < 0)
		return err_sys(err, "cannot fork");
	if (!child) {
		(void)close(go[1]); /* a pipe; its end is our parent's end */
		map_from_outside(self, go[0], base);
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		(void)err_sys(err, "cannot make a user namespace");
	else if (write_all(go[1], "", 1))
		(void)err_sys(err, "cannot write to a pipe");
	(void)close(go[0]); /* pipes */
	(void)close(go[1]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (err->code)
		return -1;
	if (status)
		return err_set(err, ERR_SYS,
			"cannot map the IDs %u to %u into a user namespace",
			base, base + TREE_IDS - 1);
	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return err_sys(err, "cannot become root of a user namespace");
	return 0;
}

static int
enter_alone(struct err *err)
{
	char uid[64], gid[64];

	(void)snprintf(uid, sizeof(uid), "0 %u 1\n", (unsigned)geteuid());
	(void)snprintf(gid, sizeof(gid), "0 %u 1\n", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return err_sys(err, "cannot make a user namespace (see "
				    "`forge-vm doctor`)");
	if (write_map(getpid(), "setgroups", "deny") ||
		write_map(getpid(), "uid_map", uid) ||
		write_map(getpid(), "gid_map", gid))
		return err_sys(err, "cannot map our ID into a user namespace");
	return 0;
}

int
userns_enter(uint32_t base, struct err *err)
{
	pid_t parent = getppid();

	if (base ? enter_range(base, err) : enter_alone(err))
		return -1;
	/* New credentials: the kernel forgot whose death was to be ours. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_sys(err, "prctl");
	if (getppid() != parent)
		return err_set(err, ERR_CANCELED, "the supervisor is gone");
	return 0;
}
