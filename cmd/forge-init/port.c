#include "cmd/forge-init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A port whose host end is closed says POLLHUP at once, again and again. */
#define HUP_PAUSE 100 /* ms */

static void
wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, -1) > 0 && !(p.revents & POLLOUT))
		(void)poll(NULL, 0, HUP_PAUSE);
}

static int
write_all(int fd, const unsigned char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EAGAIN) {
			wait_writable(fd);
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int
agent_send(struct agent *a, uint8_t type, uint16_t stream,
	const void *payload, size_t n)
{
	static unsigned char out[FRAME_MAX];
	struct frame f = { .type = type, .stream = stream,
		.length = (uint32_t)n };

	/* One write for the whole: one trip through the virtqueue. */
	frame_header(&f, out);
	if (n)
		memcpy(out + FRAME_HEADER, payload, n);
	return write_all(a->out, out, FRAME_HEADER + n);
}

int
agent_send_text(struct agent *a, uint8_t type, const char *text)
{
	return agent_send(a, type, 0, text, strlen(text));
}

void
agent_send_exit(struct agent *a, uint16_t stream, uint8_t kind, uint32_t value)
{
	unsigned char p[5] = { kind };

	frame_put32(p + 1, value);
	(void)agent_send(a, CHANNEL_EXIT, stream, p, sizeof(p));
}

/* As after a restore: connections do not survive it. */
static void
reopen(struct agent *a)
{
	int fd = vsock_open();

	if (fd < 0)
		return;
	(void)fcntl(fd, F_SETFL, fcntl(a->fd, F_GETFL));
	(void)dup2(fd, a->fd);
	(void)close(fd);
	(void)fcntl(a->fd, F_SETFD, FD_CLOEXEC);
	frame_reader_init(&a->reader);
}

int
agent_fill(struct agent *a)
{
	size_t room;
	void *p = frame_reader_space(&a->reader, &room);
	ssize_t n = read(a->fd, p, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0) {
		frame_reader_fill(&a->reader, (size_t)n);
		return 0;
	}
	if (!a->pid1 || a->place)
		return -1;
	/* Whoever holds the host end may come back. */
	(void)poll(NULL, 0, HUP_PAUSE);
	if (a->vsock)
		reopen(a);
	return 0;
}

int
agent_receive(struct agent *a, struct frame *ret)
{
	while (!frame_next(&a->reader, ret)) {
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		(void)poll(&p, 1, -1);
		if (agent_fill(a))
			return -1;
	}
	return 0;
}
