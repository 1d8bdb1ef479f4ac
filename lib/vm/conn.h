/*
 * conn: frames over a non-blocking socket, with what is not yet written kept
 * in a buffer.  How much may pile up there is bounded by whoever sends: by
 * the windows of the channel (channel.h), and by not reading from those who
 * feed it while conn_full().
 */
#ifndef FORGE_VM_CONN_H
#define FORGE_VM_CONN_H

#include <stdbool.h>
#include "lib/base/buf.h"
#include "lib/vm/channel.h"

struct conn {
	int fd; /* -1: closed */
	struct buf out;
	struct frame_reader reader;
};

void conn_init(struct conn *c, int fd); /* takes the fd over */
void conn_release(struct conn *c);
void conn_send(struct conn *c, const struct frame *f);
void conn_text(struct conn *c, enum channel_type type, const char *text);
/* Write what can be written; -1 when the other side is gone. */
int conn_flush(struct conn *c);
/* Read what there is; 0, or -1 at the end. */
int conn_fill(struct conn *c);
bool conn_full(const struct conn *c);
/* POLLIN and, when something waits to be written, POLLOUT. */
short conn_events(const struct conn *c);

#endif
