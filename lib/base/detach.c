#include "lib/base/detach.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/banned.h"

#define LINE_MAX_BYTES 4096
#define SAID_MAX 65536

static int
spawn(const struct argv *args, int notify_fd, struct child *ret,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return err_sys(err, "cannot read /proc/self/exe");
	exe[n] = '\0';
	argv_push(&p.argv, exe);
	argv_pushv(&p.argv, (const char *const *)args->v);
	argv_pushf(&p.argv, "--notify-fd=%d", notify_fd);
	p.in = PROC_NULL;
	p.out = PROC_NULL;
	p.err = PROC_PIPE;
	p.new_session = true;
	p.pass[p.npass++] = notify_fd;
	return proc_spawn(&p, ret, err);
}

/* Its last line, without the name that we will put there again. */
static void
complaint(struct buf *said, int status, struct err *err)
{
	size_t name = strlen(program_name);
	const char *line;

	buf_rtrim(said);
	line = strrchr(said->s, '\n');
	line = line ? line + 1 : said->s;
	if (!strncmp(line, program_name, name) && line[name] == ':' &&
		line[name + 1] == ' ')
		line += name + 2;
	if (*line)
		(void)err_set(err, ERR_SYS, "%.480s", line);
	else
		(void)err_set(err, ERR_SYS, "it ended with status %d", status);
}

static int
ended(struct child *c, int *ret_status, struct err *err)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	struct proc_status status;

	if (buf_read_fd(&said, c->err, SAID_MAX, "its errors", err) ||
		proc_wait(c, -1, &status, err))
		return -1;
	*ret_status = proc_exit_status(&status);
	complaint(&said, *ret_status, err);
	return 0;
}

int
detach_self(const struct argv *args, struct buf *ret_line, int *ret_status,
	struct err *err)
{
	CLEANUP_CLOSE int rfd = -1, wfd = -1;
	struct child child = CHILD_INIT;
	int fds[2], rc = 0;

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	rfd = fds[0];
	wfd = fds[1];
	if (spawn(args, wfd, &child, err))
		return -1;
	/* a pipe: the child's copy is the one that counts */
	(void)close(steal_fd(&wfd));
	rc = buf_read_fd(ret_line, rfd, LINE_MAX_BYTES, "its name", err);
	buf_rtrim(ret_line);
	*ret_status = 0;
	if (!rc && !ret_line->len)
		rc = ended(&child, ret_status, err);
	child_close(&child);
	return rc;
}
