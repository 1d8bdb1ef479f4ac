/*
 * loop: one thread that waits for many file descriptors and timers (epoll).
 *
 *	struct loop *loop;
 *	if (loop_open(&loop, err)) return -1;
 *	struct loop_fd l = { .fd = fd, .ready = on_ready };
 *	if (loop_add(loop, &l, EPOLLIN, err)) ...
 *	rc = loop_run(loop, err);		until loop_stop()
 *	loop_close(loop);
 *
 * The structures belong to the caller, usually inside a larger one.  What a
 * callback wants freed may still have an event in the batch at hand: it is
 * handed to loop_later(), which runs at the end of the batch.
 */
#ifndef FORGE_NET_LOOP_H
#define FORGE_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct loop;

struct loop_fd {
	int fd;
	void (*ready)(struct loop_fd *l, uint32_t events);
	bool in; /* the loop's own: added */
	uint32_t events;
};

struct loop_timer {
	void (*fire)(struct loop_timer *t);
	int64_t at; /* the loop's own: monotonic ms */
	size_t slot; /* likewise: 0 not set */
};

/* Queued at most once at a time; run in the order of asking. */
struct loop_later {
	void (*run)(struct loop_later *l);
	struct loop_later *next; /* the loop's own */
	bool queued;
};

int loop_open(struct loop **ret, struct err *err)
	__attribute__((warn_unused_result));
/* What is still in it is forgotten, but for loop_later(), which is run. */
void loop_close(struct loop *loop);

int loop_add(struct loop *loop, struct loop_fd *l, uint32_t events,
	struct err *err) __attribute__((warn_unused_result));
/* Wait for these events from now on. */
void loop_mod(struct loop *loop, struct loop_fd *l, uint32_t events);
/* Before the fd is closed; nothing when it was not added. */
void loop_del(struct loop *loop, struct loop_fd *l);

/* At a monotonic ms; moves one that is set. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, int64_t at);
void loop_timer_clear(struct loop *loop, struct loop_timer *t);

void loop_later(struct loop *loop, struct loop_later *l);
/* What is queued, now: for the time after loop_run(). */
void loop_run_later(struct loop *loop);

/* The monotonic ms at the start of this batch. */
int64_t loop_now(const struct loop *loop);

int loop_run(struct loop *loop, struct err *err)
	__attribute__((warn_unused_result));
/* loop_run() returns 0 after this batch. */
void loop_stop(struct loop *loop);

#endif
