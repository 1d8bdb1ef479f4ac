#include "lib/vm/console.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/console_files.h"
#include "lib/vm/frame.h"
#include "lib/base/banned.h"

static int
create(int dir, const char *name)
{
	return openat(dir, name,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int
console_open(struct console *c, int dir, struct err *err)
{
	*c = (struct console){ .dir = dir, .fd = create(dir, CONSOLE_LOG),
		.when = create(dir, CONSOLE_WHEN) };
	if (c->fd >= 0 && c->when >= 0)
		return 0;
	(void)err_sys(err, "cannot open '%s'", CONSOLE_LOG);
	console_close(c);
	return -1;
}

void
console_close(struct console *c)
{
	cleanup_close(&c->fd);
	cleanup_close(&c->when);
	c->fd = c->when = -1;
}

static void
rotate(struct console *c)
{
	struct err err = ERR_INIT;

	console_close(c);
	/* The log last: who follows it finds its times beside it. */
	if (renameat(c->dir, CONSOLE_WHEN, c->dir, CONSOLE_WHEN ".1") ||
		renameat(c->dir, CONSOLE_LOG, c->dir, CONSOLE_LOG ".1") ||
		console_open(c, c->dir, &err))
		c->size = 0; /* tried again at the next byte too many */
}

static void
mark(struct console *c)
{
	int64_t now = clock_wall();
	unsigned char p[16];

	if (c->size && c->size - c->marked < CONSOLE_MARK_BYTES &&
		now - c->marked_at < CONSOLE_MARK_MS)
		return;
	c->marked = c->size;
	c->marked_at = now;
	frame_put64(p, c->size);
	frame_put64(p + 8, (uint64_t)now);
	(void)!write(c->when, p, sizeof(p)); /* --since is less exact then */
}

void
console_add(struct console *c, const void *p, size_t n)
{
	if (c->size + n > CONSOLE_MAX)
		rotate(c);
	if (c->fd < 0)
		return;
	mark(c);
	if (!write_all(c->fd, p, n))
		c->size += n;
}
