#include "lib/vm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mask.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/console_files.h"
#include "lib/vm/frame.h"
#include "lib/base/banned.h"

#define LOG_MAX (2 * CONSOLE_MAX) /* of one file: more is not ours */
#define WHEN_MAX (LOG_MAX / CONSOLE_MARK_BYTES * 16 + 65536)

struct viewer {
	int dir, log; /* the current one */
	int to;
	bool terminal;
};

static int
open_log(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static int
put(const struct viewer *v, char *p, size_t n, struct err *err)
{
	if (v->terminal)
		mask_text(p, n);
	return write_all(v->to, p, n) ? err_sys(err, "cannot write the log") :
					0;
}

/* ---- what is there ---- */

/*
 * Where in a log of n bytes what came since then begins.  A mark is the time
 * of the bytes behind it, up to the next one.
 */
static size_t
first_since(int dir, const char *when, int64_t since, size_t n)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	size_t at, start = n;

	if (since < 0)
		return 0;
	if (fs_read(dir, when, WHEN_MAX, &b, &err))
		return 0; /* rather too much than too little */
	for (at = b.len / 16; at--;) {
		const unsigned char *p = (unsigned char *)b.s + at * 16;

		if ((int64_t)frame_get64(p + 8) < since)
			break;
		start = frame_get64(p) < n ? (size_t)frame_get64(p) : n;
	}
	return start;
}

static int
add_part(struct viewer *v, int fd, const char *when, int64_t since,
	struct buf *all, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t start;

	if (buf_read_fd(&b, fd, LOG_MAX, "the log", err))
		return -1;
	start = first_since(v->dir, when, since, b.len);
	buf_add(all, b.s + start, b.len - start);
	return 0;
}

static size_t
last_lines(const struct buf *b, int lines)
{
	size_t at = b->len;
	const char *nl;

	if (lines < 0)
		return 0;
	for (; lines && at; lines--) {
		/* The newline at its end is the line's own. */
		nl = memrchr(b->s, '\n', at - 1);
		at = nl ? (size_t)(nl - b->s) + 1 : 0;
	}
	return at;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev &&
		x.st_ino == y.st_ino;
}

static int
print_now(struct viewer *v, const struct console_view *view, struct err *err)
{
	CLEANUP_CLOSE int old = open_log(v->dir, CONSOLE_LOG ".1");
	CLEANUP_BUF struct buf all = BUF_INIT;
	size_t start;

	/* It may have been rotated just now, then that is all for now. */
	if (old >= 0 && !same_file(old, v->log) &&
		add_part(v, old, CONSOLE_WHEN ".1", view->since, &all, err))
		return -1;
	if (add_part(v, v->log, CONSOLE_WHEN, view->since, &all, err))
		return -1;
	start = last_lines(&all, view->lines);
	return put(v, all.s + start, all.len - start, err);
}

/* ---- what comes ---- */

static int
copy_rest(const struct viewer *v, struct err *err)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(v->log, chunk, sizeof(chunk))) > 0)
		if (put(v, chunk, (size_t)n, err))
			return -1;
	return n < 0 ? err_sys(err, "cannot read the log") : 0;
}

/* Another file has the name now: go on there. */
static int
follow_rotation(struct viewer *v, struct err *err)
{
	CLEANUP_CLOSE int next = open_log(v->dir, CONSOLE_LOG);

	if (next < 0 || same_file(next, v->log))
		return 0;
	if (copy_rest(v, err)) /* what came since we looked */
		return -1;
	cleanup_close(&v->log);
	v->log = steal_fd(&next);
	return copy_rest(v, err);
}

/* inotify tells of growth; the lock, looked at each second, of the end. */
static int
follow(struct state *st, const char *vm, struct viewer *v, struct err *err)
{
	CLEANUP_CLOSE int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CLEANUP_FREE char *path = xasprintf("%s/vm/%s", state_path(st), vm);
	struct pollfd p = { .fd = notify, .events = POLLIN };
	char events[4096];
	int alive;

	if (notify < 0 ||
		inotify_add_watch(notify, path, IN_MODIFY | IN_CREATE) < 0)
		return err_sys(err, "cannot watch '%s'", path);
	do {
		alive = state_locked(st, "vm", vm, err);
		if (alive < 0 || copy_rest(v, err) || follow_rotation(v, err))
			return -1;
		if (alive && poll(&p, 1, 1000) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		while (read(notify, events, sizeof(events)) > 0)
			;
	} while (alive);
	return 0;
}

int
console_print(struct state *st, const char *vm,
	const struct console_view *view, int fd, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("vm/%s", vm);
	CLEANUP_CLOSE int dir = openat(state_dir(st), path,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct viewer v = { .dir = dir, .to = fd };
	int rc;

	v.log = dir < 0 ? -1 : open_log(dir, CONSOLE_LOG);
	if (v.log < 0)
		return errno == ENOENT ?
			err_set(err, ERR_NOTFOUND, "VM '%s' has no log", vm) :
			err_sys(err, "cannot open the log of '%s'", vm);
	v.terminal = isatty(fd);
	rc = print_now(&v, view, err) ||
			(view->follow && follow(st, vm, &v, err)) ?
		-1 :
		0;
	cleanup_close(&v.log);
	return rc;
}
