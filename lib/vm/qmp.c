#include "lib/vm/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define STATE_FD "forge-state" /* how QEMU calls the file of a migration */

void
qmp_init(struct qmp *q, int fd)
{
	*q = QMP_INIT;
	q->fd = fd;
	(void)fd_nonblock(fd, true); /* a socket: cannot fail */
}

void
qmp_release(struct qmp *q)
{
	cleanup_close(&q->fd);
	q->fd = -1;
	buf_release(&q->in);
}

/* ---- lines ---- */

static void
note_event(struct qmp *q, const struct json *j)
{
	const char *status = json_str(j, "data.status", "");

	if (strcmp(json_str(j, "event", ""), "MIGRATION") != 0)
		return;
	if (!strcmp(status, "completed"))
		q->migration = QMP_COMPLETED;
	else if (!strcmp(status, "failed") || !strcmp(status, "cancelled"))
		q->migration = QMP_FAILED;
}

int
qmp_line(struct qmp *q, const char *line, size_t n, struct json **ret,
	struct err *err)
{
	CLEANUP_JSON struct json *j = NULL;

	if (json_parse(line, n, &j, err))
		return err_set(err, ERR_PLACE,
			"the hypervisor's monitor talks nonsense");
	note_event(q, j);
	if (!json_has(j, "return") && !json_has(j, "error") &&
		!json_has(j, "QMP"))
		return 0;
	*ret = j;
	j = NULL;
	return 1;
}

static int
read_more(struct qmp *q, int64_t deadline, struct err *err)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	int left = clock_left(deadline);
	ssize_t n;

	if (q->in.len >= QMP_LINE_MAX)
		return err_set(err, ERR_PLACE,
			"the hypervisor's monitor talks nonsense");
	if (!left)
		return err_set(err, ERR_TIMEOUT,
			"the hypervisor's monitor does not answer");
	if (poll(&p, 1, left) < 0 && errno != EINTR)
		return err_sys(err, "poll");
	n = buf_read_some(&q->in, q->fd, QMP_LINE_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? 0 :
		       err_set(err, ERR_PLACE, "the hypervisor has ended");
}

/* The next line that is at hand: 1 an answer, 0 none there, -1. */
static int
next_line(struct qmp *q, struct json **ret, struct err *err)
{
	const char *end;
	int rc = 0;

	while (!rc && (end = memchr(q->in.s, '\n', q->in.len))) {
		size_t n = (size_t)(end - q->in.s);

		if (n > 1) /* "\r" alone is an empty line */
			rc = qmp_line(q, q->in.s, n, ret, err);
		buf_consume(&q->in, n + 1);
	}
	return rc;
}

static int
answer(struct qmp *q, int64_t deadline, struct json **ret, struct err *err)
{
	int rc;

	while (!(rc = next_line(q, ret, err)))
		if (read_more(q, deadline, err))
			return -1;
	return rc < 0 ? -1 : 0;
}

/* ---- commands ---- */

/* Its first byte carries fd, if there is one. */
static int
send_line(struct qmp *q, const struct buf *b, int fd, struct err *err)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = b->s, .iov_len = b->len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	/* Some hundred bytes into a socket that is empty: whole, or not. */
	if (sendmsg(q->fd, &m, MSG_NOSIGNAL) == (ssize_t)b->len)
		return 0;
	return err_set(err, ERR_PLACE, "the hypervisor has ended");
}

static int
call(struct qmp *q, const char *command, struct json *args, int fd,
	int64_t deadline, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object(), *reply = NULL;
	CLEANUP_BUF struct buf b = BUF_INIT;

	json_put_str(o, "execute", command);
	if (args)
		json_put(o, "arguments", args);
	json_write(o, &b);
	buf_addc(&b, '\n');
	if (send_line(q, &b, fd, err) || answer(q, deadline, &reply, err))
		return -1;
	if (!json_has(reply, "error"))
		return 0;
	return err_set(err, ERR_SYS, "the hypervisor refuses '%s': %.200s",
		command, json_str(reply, "error.desc", "no reason given"));
}

int
qmp_greet(struct qmp *q, int64_t deadline, struct err *err)
{
	CLEANUP_JSON struct json *hello = NULL;

	if (q->greeted)
		return 0;
	if (q->fd < 0)
		return err_set(err, ERR_PLACE,
			"this driver has no monitor that could do it");
	if (answer(q, deadline, &hello, err))
		return -1;
	(void)snprintf(q->version, sizeof(q->version), "%d.%d.%d",
		(int)json_int(hello, "QMP.version.qemu.major", 0),
		(int)json_int(hello, "QMP.version.qemu.minor", 0),
		(int)json_int(hello, "QMP.version.qemu.micro", 0));
	q->greeted = true;
	return call(q, "qmp_capabilities", NULL, -1, deadline, err);
}

int
qmp_command(struct qmp *q, const char *command, struct json *args,
	int64_t deadline, struct err *err)
{
	if (!qmp_greet(q, deadline, err))
		return call(q, command, args, -1, deadline, err);
	json_free(args);
	return -1;
}

int
qmp_give_fd(struct qmp *q, const char *name, int fd, int64_t deadline,
	struct err *err)
{
	struct json *args;

	if (qmp_greet(q, deadline, err))
		return -1;
	args = json_object();
	json_put_str(args, "fdname", name);
	return call(q, "getfd", args, fd, deadline, err);
}

/* ---- migration ---- */

/* The memory is a file of its own (ignore-shared), and we want its events. */
static int
set_capabilities(struct qmp *q, int64_t deadline, struct err *err)
{
	static const char *const names[] = { "x-ignore-shared", "events" };
	struct json *args = json_object(), *list = json_array();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct json *o = json_object();

		json_put_str(o, "capability", names[i]);
		json_put_bool(o, "state", true);
		json_push(list, o);
	}
	json_put(args, "capabilities", list);
	return qmp_command(q, "migrate-set-capabilities", args, deadline, err);
}

int
qmp_migrate(struct qmp *q, const char *command, int fd, int64_t deadline,
	struct err *err)
{
	struct json *args, *stray = NULL;

	if (set_capabilities(q, deadline, err) ||
		qmp_give_fd(q, STATE_FD, fd, deadline, err))
		return -1;
	q->migration = QMP_UNDER_WAY;
	args = json_object();
	json_put_str(args, "uri", "fd:" STATE_FD);
	if (qmp_command(q, command, args, deadline, err))
		return -1;
	while (q->migration == QMP_UNDER_WAY) {
		int rc = next_line(q, &stray, err);

		json_free(stray); /* nothing was asked */
		stray = NULL;
		if (rc < 0 || (q->migration == QMP_UNDER_WAY &&
			read_more(q, deadline, err)))
			return -1;
	}
	return q->migration == QMP_COMPLETED ? 0 :
		err_set(err, ERR_PLACE,
			"the hypervisor cannot %s the machine's state",
			strcmp(command, "migrate") ? "read" : "write");
}
