#include "lib/runner/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static void
mask_controls(char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\n' &&
			    p[i] != '\t') ||
			p[i] == 0x7f)
			p[i] = '?';
}

static int
copy(int from, int to, bool text, struct err *err)
{
	char chunk[65536];
	bool mask = text && isatty(to);
	ssize_t n;

	while ((n = read(from, chunk, sizeof(chunk))) > 0) {
		if (mask)
			mask_controls(chunk, (size_t)n);
		if (write_all(to, chunk, (size_t)n))
			return err_sys(err, "cannot write the log");
	}
	return n < 0 ? err_sys(err, "cannot read the log") : 0;
}

/* inotify tells of growth; the lock, looked at each second, of the end. */
static int
wait_more(int notify, struct err *err)
{
	struct pollfd p = { .fd = notify, .events = POLLIN };
	char events[4096];

	if (poll(&p, 1, 1000) < 0 && errno != EINTR)
		return err_sys(err, "poll");
	while (read(notify, events, sizeof(events)) > 0)
		;
	return 0;
}

static int
follow_log(struct state *st, const char *name, const char *path, int from,
	int to, struct err *err)
{
	CLEANUP_CLOSE int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CLEANUP_FREE char *full = xasprintf("%s/%s", state_path(st), path);
	int alive;

	if (notify < 0 || inotify_add_watch(notify, full, IN_MODIFY) < 0)
		return err_sys(err, "cannot watch '%s'", full);
	do {
		alive = state_locked(st, "runner", name, err);
		if (alive < 0 || copy(from, to, true, err))
			return -1;
		if (alive && wait_more(notify, err))
			return -1;
	} while (alive);
	return 0;
}

int
runner_log(struct state *st, const char *name, bool follow, int fd,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("runner/%s/log", name);
	CLEANUP_CLOSE int from = openat(state_dir(st), path,
		O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (from < 0)
		return errno == ENOENT ?
			err_set(err, ERR_NOTFOUND,
				"runner '%s' has no log", name) :
			err_sys(err, "cannot open '%s'", path);
	if (follow)
		return follow_log(st, name, path, from, fd, err);
	return copy(from, fd, true, err);
}

int
runner_diag(struct state *st, const char *name, int fd, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("runner/%s/diag.tar.gz", name);
	CLEANUP_CLOSE int from = openat(state_dir(st), path,
		O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (from < 0)
		return errno == ENOENT ?
			err_set(err, ERR_NOTFOUND,
				"runner '%s' left no diagnostics", name) :
			err_sys(err, "cannot open '%s'", path);
	return copy(from, fd, false, err);
}
