#include "lib/vm/pause.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/conn.h"
#include "lib/vm/supervise.h"
#include "lib/base/banned.h"

static bool
is_answer(const struct frame *f)
{
	return f->type == CHANNEL_DONE || f->type == CHANNEL_REFUSED;
}

static int
read_answer(struct conn *c, struct frame *ret, struct err *err)
{
	struct pollfd p = { .fd = c->fd };

	for (;;) {
		while (frame_next(&c->reader, ret))
			if (is_answer(ret))
				return 0;
		p.events = conn_events(c);
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (conn_flush(c) || conn_fill(c))
			return err_set(err, ERR_SYS,
				"it ended before it answered");
	}
}

/* Of our own supervisor; yet only what it may say is believed. */
static int
take_answer(const struct frame *f, struct err *err)
{
	if (f->type == CHANNEL_DONE)
		return 0;
	if (f->length < 1)
		return err_set(err, ERR_SYS, "refused");
	return err_set(err,
		f->payload[0] == ERR_NOTFOUND || f->payload[0] == ERR_EXISTS ||
				f->payload[0] == ERR_BUSY ||
				f->payload[0] == ERR_LIMIT ?
			(enum err_code)f->payload[0] :
			ERR_SYS,
		"%.*s", (int)(f->length - 1), (const char *)f->payload + 1);
}

int
supervisor_ask_keep(struct state *st, const char *name,
	enum channel_type type, const char *text, int *ret_sock,
	struct err *err)
{
	CLEANUP_CLOSE int kept = -1;
	struct frame f = { 0 };
	struct conn *c;
	int fd, rc;

	if (supervisor_connect(st, name, &fd, err))
		return -1;
	kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (kept < 0) {
		(void)close(fd); /* nothing was written */
		return err_sys(err, "cannot copy a socket");
	}
	c = xmalloc(sizeof(*c));
	conn_init(c, fd);
	conn_text(c, type, text ? text : "");
	rc = read_answer(c, &f, err);
	if (rc)
		(void)err_wrap(err, "VM '%s'", name);
	else
		rc = take_answer(&f, err);
	conn_release(c);
	free(c);
	if (!rc)
		*ret_sock = steal_fd(&kept);
	return rc;
}

int
supervisor_ask(struct state *st, const char *name, enum channel_type type,
	const char *text, struct err *err)
{
	CLEANUP_CLOSE int sock = -1;

	return supervisor_ask_keep(st, name, type, text, &sock, err);
}

int
vm_pause(struct state *st, const char *name, struct err *err)
{
	return supervisor_ask(st, name, CHANNEL_PAUSE, NULL, err);
}

int
vm_resume(struct state *st, const char *name, struct err *err)
{
	return supervisor_ask(st, name, CHANNEL_RESUME, NULL, err);
}
