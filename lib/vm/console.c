#include "lib/vm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LOG "console.log"

int
console_open(struct console *c, int dir, struct err *err)
{
	c->dir = dir;
	c->size = 0;
	c->fd = openat(dir, LOG,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return c->fd < 0 ? err_sys(err, "cannot open '%s'", LOG) : 0;
}

void
console_close(struct console *c)
{
	cleanup_close(&c->fd);
	c->fd = -1;
}

static void
rotate(struct console *c)
{
	struct err err = ERR_INIT;

	console_close(c);
	if (renameat(c->dir, LOG, c->dir, LOG ".1") ||
		console_open(c, c->dir, &err))
		c->size = 0;
}

void
console_add(struct console *c, const void *p, size_t n)
{
	if (c->size + n > CONSOLE_MAX)
		rotate(c);
	if (c->fd >= 0 && !write_all(c->fd, p, n))
		c->size += n;
}

/* ---- reading ---- */

static int
copy(int from, int to, struct err *err)
{
	unsigned char chunk[65536];
	bool mask = isatty(to);
	ssize_t n, i;

	while ((n = read(from, chunk, sizeof(chunk))) > 0) {
		for (i = 0; mask && i < n; i++)
			if ((chunk[i] < 0x20 && !strchr("\n\t\r", chunk[i])) ||
				chunk[i] == 0x7f)
				chunk[i] = '?';
		if (write_all(to, chunk, (size_t)n))
			return err_sys(err, "cannot write the log");
	}
	return n < 0 ? err_sys(err, "cannot read the log") : 0;
}

static int
print_old(int dir, int fd, struct err *err)
{
	CLEANUP_CLOSE int from = openat(dir, LOG ".1",
		O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return from < 0 ? 0 : copy(from, fd, err);
}

/* inotify tells of growth; the lock, looked at each second, of the end. */
static int
follow_log(struct state *st, const char *vm, int from, int fd,
	struct err *err)
{
	CLEANUP_CLOSE int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CLEANUP_FREE char *path = xasprintf("%s/vm/%s/" LOG, state_path(st),
		vm);
	struct pollfd p = { .fd = notify, .events = POLLIN };
	char events[4096];
	int alive;

	if (notify < 0 || inotify_add_watch(notify, path, IN_MODIFY) < 0)
		return err_sys(err, "cannot watch '%s'", path);
	do {
		alive = state_locked(st, "vm", vm, err);
		if (alive < 0 || copy(from, fd, err))
			return -1;
		if (alive && poll(&p, 1, 1000) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		while (read(notify, events, sizeof(events)) > 0)
			;
	} while (alive);
	return 0;
}

int
console_print(struct state *st, const char *vm, bool follow, int fd,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("vm/%s", vm);
	CLEANUP_CLOSE int dir = openat(state_dir(st), path,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int from = dir < 0 ? -1 : openat(dir, LOG,
		O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (from < 0)
		return errno == ENOENT ?
			err_set(err, ERR_NOTFOUND, "VM '%s' has no log", vm) :
			err_sys(err, "cannot open the log of '%s'", vm);
	if (print_old(dir, fd, err))
		return -1;
	return follow ? follow_log(st, vm, from, fd, err) :
			copy(from, fd, err);
}
