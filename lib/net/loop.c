#include "lib/net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define BATCH 256

struct loop {
	int epoll;
	bool stop;
	int64_t now;
	struct loop_timer **heap; /* from 1; the earliest first */
	size_t n, alloc;
	struct loop_later *first, **last;
};

int
loop_open(struct loop **ret, struct err *err)
{
	struct loop *loop;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "epoll");
	loop = xcalloc(1, sizeof(*loop));
	loop->epoll = fd;
	loop->last = &loop->first;
	loop->now = clock_mono();
	*ret = loop;
	return 0;
}

void
loop_run_later(struct loop *loop)
{
	struct loop_later *l;

	while ((l = loop->first)) {
		loop->first = l->next;
		if (!loop->first)
			loop->last = &loop->first;
		l->queued = false;
		l->run(l);
	}
}

void
loop_close(struct loop *loop)
{
	if (!loop)
		return;
	loop_run_later(loop);
	(void)close(loop->epoll); /* nothing was written */
	free(loop->heap);
	free(loop);
}

/* ---- fds ---- */

int
loop_add(struct loop *loop, struct loop_fd *l, uint32_t events,
	struct err *err)
{
	struct epoll_event e = { .events = events, .data.ptr = l };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, l->fd, &e))
		return err_sys(err, "epoll");
	l->in = true;
	l->events = events;
	return 0;
}

void
loop_mod(struct loop *loop, struct loop_fd *l, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = l };

	if (!l->in || l->events == events)
		return;
	l->events = events;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, l->fd, &e))
		BUG("epoll: fd %d: errno %d", l->fd, errno);
}

void
loop_del(struct loop *loop, struct loop_fd *l)
{
	if (!l->in)
		return;
	l->in = false;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_DEL, l->fd, NULL))
		BUG("epoll: fd %d: errno %d", l->fd, errno);
}

/* ---- timers: a binary heap ---- */

static void
place(struct loop *loop, struct loop_timer *t, size_t i)
{
	loop->heap[i] = t;
	t->slot = i;
}

static void
sift_up(struct loop *loop, size_t i)
{
	struct loop_timer *t = loop->heap[i];

	for (; i > 1 && loop->heap[i / 2]->at > t->at; i /= 2)
		place(loop, loop->heap[i / 2], i);
	place(loop, t, i);
}

static void
sift_down(struct loop *loop, size_t i)
{
	struct loop_timer *t = loop->heap[i];
	size_t c;

	for (; (c = 2 * i) <= loop->n; i = c) {
		if (c < loop->n && loop->heap[c + 1]->at < loop->heap[c]->at)
			c++;
		if (loop->heap[c]->at >= t->at)
			break;
		place(loop, loop->heap[c], i);
	}
	place(loop, t, i);
}

void
loop_timer_clear(struct loop *loop, struct loop_timer *t)
{
	size_t i = t->slot;

	if (!i)
		return;
	t->slot = 0;
	if (i == loop->n--)
		return;
	place(loop, loop->heap[loop->n + 1], i);
	sift_up(loop, i);
	sift_down(loop, loop->heap[i]->slot);
}

void
loop_timer_set(struct loop *loop, struct loop_timer *t, int64_t at)
{
	loop_timer_clear(loop, t);
	if (loop->n + 2 > loop->alloc) {
		loop->alloc = loop->alloc ? loop->alloc * 2 : 64;
		loop->heap = xreallocarray(loop->heap, loop->alloc,
			sizeof(struct loop_timer *));
	}
	t->at = at;
	place(loop, t, ++loop->n);
	sift_up(loop, loop->n);
}

static void
fire(struct loop *loop)
{
	while (loop->n && loop->heap[1]->at <= loop->now) {
		struct loop_timer *t = loop->heap[1];

		loop_timer_clear(loop, t);
		t->fire(t);
	}
}

/* ---- running ---- */

void
loop_later(struct loop *loop, struct loop_later *l)
{
	if (l->queued)
		return;
	l->queued = true;
	l->next = NULL;
	*loop->last = l;
	loop->last = &l->next;
}

int64_t
loop_now(const struct loop *loop)
{
	return loop->now;
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

int
loop_run(struct loop *loop, struct err *err)
{
	struct epoll_event events[BATCH];

	loop->stop = false;
	loop_run_later(loop);
	while (!loop->stop) {
		int wait = loop->n ? clock_left(loop->heap[1]->at) : -1;
		int i, n = epoll_wait(loop->epoll, events, BATCH, wait);

		if (n < 0 && errno != EINTR)
			return err_sys(err, "epoll");
		loop->now = clock_mono();
		for (i = 0; i < n; i++) {
			struct loop_fd *l = events[i].data.ptr;

			if (l->in)
				l->ready(l, events[i].events);
		}
		fire(loop);
		loop_run_later(loop);
	}
	return 0;
}
