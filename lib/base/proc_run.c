#include "lib/base/proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define STDERR_MAX 65536

struct feed {
	struct child *child;
	const struct buf *input;
	size_t fed;
	struct buf *out; /* NULL: discarded */
	size_t max;
	struct buf err;
	int64_t deadline;
	int cancel; /* or -1 */
};

static void
shut(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

static void
feed_in(struct feed *f)
{
	ssize_t n;

	if (!f->input)
		return;
	n = write(f->child->in, f->input->s + f->fed,
		f->input->len - f->fed);
	if (n > 0)
		f->fed += (size_t)n;
	if ((n < 0 && errno != EAGAIN && errno != EINTR) ||
		f->fed == f->input->len)
		shut(&f->child->in); /* it may stop reading when it likes */
}

static int
feed_out(struct feed *f, const char *name, struct err *err)
{
	char waste[4096];
	ssize_t n;

	if (!f->out)
		n = read(f->child->out, waste, sizeof(waste));
	else
		n = buf_read_some(f->out, f->child->out, f->max + 1);
	if (n > 0 && f->out && f->out->len > f->max)
		return err_set(err, ERR_LIMIT,
			"'%s' printed more than %zu bytes", name, f->max);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(&f->child->out);
	return 0;
}

/* Only the end of what it complains of is kept. */
static void
feed_err(struct feed *f)
{
	ssize_t n;

	if (f->err.len >= STDERR_MAX)
		buf_consume(&f->err, f->err.len / 2);
	n = buf_read_some(&f->err, f->child->err, STDERR_MAX);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(&f->child->err);
}

/* Until it has ended and its pipes are empty; a grandchild that keeps them
 * open is not waited for. */
static int
pump(struct feed *f, const char *name, struct err *err)
{
	struct child *c = f->child;

	for (;;) {
		struct pollfd p[] = { { .fd = c->in, .events = POLLOUT },
			{ .fd = c->out, .events = POLLIN },
			{ .fd = c->err, .events = POLLIN },
			{ .fd = c->pidfd, .events = POLLIN },
			{ .fd = f->cancel, .events = POLLIN } };
		int n = poll(p, ARRAY_SIZE(p), clock_left(f->deadline));

		if (n < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (n == 0)
			return err_set(err, ERR_TIMEOUT, "'%s' took too long",
				name);
		if (n < 0)
			continue;
		if (p[4].revents)
			return err_set(err, ERR_CANCELED, "'%s' was ended",
				name);
		if (p[0].revents)
			feed_in(f);
		if (p[1].revents && feed_out(f, name, err))
			return -1;
		if (p[2].revents)
			feed_err(f);
		if (p[3].revents && !p[1].revents && !p[2].revents)
			return 0;
	}
}

static const char *
last_line(struct buf *b)
{
	const char *nl;

	buf_rtrim(b);
	nl = strrchr(b->s, '\n');
	return nl ? nl + 1 : b->s;
}

static int
verdict(struct feed *f, const char *name, const struct proc_status *s,
	struct err *err)
{
	const char *said = last_line(&f->err);

	if (!s->signaled && !s->value)
		return 0;
	if (s->signaled)
		return err_set(err, ERR_SYS, "'%s' was killed by signal %d",
			name, s->value);
	return err_set(err, ERR_SYS, "'%s' failed with status %d%s%.300s", name,
		s->value, *said ? ": " : "", said);
}

int
proc_run(struct proc *p, const struct buf *input, struct buf *out,
	size_t max, int64_t timeout_ms, struct err *err)
{
	struct child child = CHILD_INIT;
	struct feed f = { .child = &child, .input = input, .out = out,
		.max = max + (out ? out->len : 0), .err = BUF_INIT,
		.deadline = timeout_ms < 0 ? -1 : clock_mono() + timeout_ms,
		.cancel = p->cancel - 1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	struct proc_status status;
	const char *name = p->argv.n ? p->argv.v[0] : "";
	int rc;

	p->in = input ? PROC_PIPE : PROC_NULL;
	p->out = out ? PROC_PIPE : PROC_NULL;
	p->err = PROC_PIPE;
	p->status = -1;
	if (proc_spawn(p, &child, err))
		return -1;
	/* It may close its stdin early. */
	(void)sigaction(SIGPIPE, &ignore, &old);
	if (input && (!input->len || fd_nonblock(child.in, true)))
		shut(&child.in);
	rc = pump(&f, name, err);
	(void)sigaction(SIGPIPE, &old, NULL);
	if (rc) {
		struct err second = ERR_INIT;

		if (proc_stop(&child, 1000, &status, &second))
			*err = second;
	} else {
		rc = proc_wait(&child, -1, &status, err);
		if (!rc && !status.signaled)
			p->status = status.value;
		if (!rc)
			rc = verdict(&f, name, &status, err);
	}
	child_close(&child);
	if (p->said)
		buf_add(p->said, f.err.s, f.err.len);
	buf_release(&f.err);
	return rc;
}
