#include "lib/vm/conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define FULL (1u << 20)

void
conn_init(struct conn *c, int fd)
{
	c->fd = fd;
	c->out = BUF_INIT;
	frame_reader_init(&c->reader);
	(void)fd_nonblock(fd, true); /* a socket: cannot fail */
}

void
conn_release(struct conn *c)
{
	cleanup_close(&c->fd);
	c->fd = -1;
	buf_release(&c->out);
}

void
conn_send(struct conn *c, const struct frame *f)
{
	unsigned char header[FRAME_HEADER];

	if (c->fd < 0)
		return;
	frame_header(f, header);
	buf_grow(&c->out, sizeof(header) + f->length);
	buf_add(&c->out, header, sizeof(header));
	buf_add(&c->out, f->payload, f->length);
}

void
conn_text(struct conn *c, enum channel_type type, const char *text)
{
	struct frame f = { .type = (uint8_t)type,
		.length = (uint32_t)strlen(text),
		.payload = (const unsigned char *)text };

	conn_send(c, &f);
}

int
conn_flush(struct conn *c)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < c->out.len) {
		n = send(c->fd, c->out.s + done, c->out.len - done,
			MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	/* Moved down once, not for each piece that the socket took. */
	buf_consume(&c->out, done);
	return n < 0 && errno != EAGAIN ? -1 : 0;
}

int
conn_fill(struct conn *c)
{
	size_t room;
	void *p = frame_reader_space(&c->reader, &room);
	ssize_t n = recv(c->fd, p, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	frame_reader_fill(&c->reader, (size_t)n);
	return 0;
}

bool
conn_full(const struct conn *c)
{
	return c->out.len > FULL;
}

short
conn_events(const struct conn *c)
{
	return (short)(POLLIN | (c->out.len ? POLLOUT : 0));
}
