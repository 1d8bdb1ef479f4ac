#include "drivers/cloud-hypervisor/events.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define EVENT_MAX 65536

/* What ends it; NULL: go on. */
static const char *
fatal(const char *text, size_t n)
{
	CLEANUP_JSON struct json *event = NULL;
	struct err err = ERR_INIT;
	const char *source, *name;

	if (json_parse(text, n, &event, &err))
		return NULL; /* one that we do not know */
	source = json_str(event, "source", "");
	name = json_str(event, "event", "");
	if (!strcmp(source, "guest") && !strcmp(name, "panic"))
		return "the kernel of the guest panicked";
	if (!strcmp(source, "vm") && !strcmp(name, "rebooting"))
		return "the guest was reset";
	return NULL;
}

/* Objects on several lines, an empty line after each. */
static const char *
next(struct buf *b)
{
	char *end;

	while ((end = strstr(b->s, "\n\n"))) {
		const char *why = fatal(b->s, (size_t)(end - b->s));

		if (why)
			return why;
		buf_consume(b, (size_t)(end + 2 - b->s));
	}
	return NULL;
}

_Noreturn static void
watch(pid_t hypervisor, int fd)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const char *why = NULL;

	/* Nothing else of the hypervisor's is to stay open with us. */
	(void)dup2(fd, STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != hypervisor)
		_exit(1);
	while (!why && b.len < EVENT_MAX &&
		buf_read_some(&b, STDIN_FILENO, EVENT_MAX) > 0)
		why = next(&b);
	if (!why)
		_exit(0);
	(void)!write_all(STDERR_FILENO, why, strlen(why));
	(void)!write_all(STDERR_FILENO, "\n", 1);
	(void)kill(hypervisor, SIGKILL); /* it may have ended by itself */
	_exit(0);
}

int
events_watch(int *ret_fd, struct err *err)
{
	pid_t self = getpid(), child;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	child = fork();
	if (child < 0)
		return err_sys(err, "cannot fork");
	if (!child)
		watch(self, fds[0]);
	(void)close(fds[0]); /* read only */
	if (fd_cloexec(fds[1], false))
		return err_sys(err, "cannot hand a pipe on");
	*ret_fd = fds[1];
	return 0;
}
