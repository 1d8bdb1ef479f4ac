#include "drivers/process/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define FRAME 65536 /* as passt(1) has them at most */
#define NOBODY 65534

/* One direction's bytes on their way: [start, end). */
struct queue {
	size_t start, end;
	unsigned char bytes[2 * (FRAME + 4)];
};

struct relay {
	int tap, frames, parent;
	struct queue out; /* one frame from the tap, behind its length */
	struct queue in; /* frames from the socket, as they come */
};

/* A frame of the place: the next is taken when this one is gone. */
static int
read_tap(struct relay *r)
{
	ssize_t n = read(r->tap, r->out.bytes + 4, FRAME);
	uint32_t length = htonl((uint32_t)n);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	memcpy(r->out.bytes, &length, 4);
	r->out.start = 0;
	r->out.end = (size_t)n + 4;
	return 0;
}

static int
write_frames(struct relay *r)
{
	ssize_t n = send(r->frames, r->out.bytes + r->out.start,
		r->out.end - r->out.start, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	r->out.start += (size_t)n;
	return 0;
}

/* Whole frames to the tap, which takes each or drops it, as a cable does. */
static int
deliver(struct relay *r)
{
	struct queue *q = &r->in;
	uint32_t length;

	while (q->end - q->start >= 4) {
		memcpy(&length, q->bytes + q->start, 4);
		length = ntohl(length);
		if (length > FRAME)
			return -1; /* no stream of frames */
		if (q->end - q->start - 4 < length)
			break;
		(void)!write(r->tap, q->bytes + q->start + 4, length);
		q->start += 4 + length;
	}
	memmove(q->bytes, q->bytes + q->start, q->end - q->start);
	q->end -= q->start;
	q->start = 0;
	return 0;
}

static int
read_frames(struct relay *r)
{
	struct queue *q = &r->in;
	ssize_t n = recv(r->frames, q->bytes + q->end,
		sizeof(q->bytes) - q->end, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	q->end += (size_t)n;
	return deliver(r);
}

static void
loop(struct relay *r)
{
	struct pollfd p[3] = { { .fd = r->tap }, { .fd = r->frames },
		{ .fd = r->parent, .events = POLLIN } };

	for (;;) {
		bool pending = r->out.start < r->out.end;

		p[0].events = pending ? 0 : POLLIN;
		p[1].events = (short)(POLLIN | (pending ? POLLOUT : 0));
		if ((poll(p, 3, -1) < 0 && errno != EINTR) || p[2].revents)
			return;
		if (p[0].revents & POLLIN && !pending && read_tap(r))
			return;
		if (r->out.start < r->out.end && write_frames(r))
			return;
		if (p[1].revents & (POLLIN | POLLHUP | POLLERR) &&
			read_frames(r))
			return;
	}
}

/* Nothing is left to it but the two fds, and it is nobody. */
_Noreturn static void
run(pid_t parent, int tap, int frames)
{
	static struct relay r;

	/* Its death by signal could not reach us: we are somebody else. */
	r.parent = (int)syscall(SYS_pidfd_open, parent, 0);
	if (r.parent < 0 || dup2(tap, 0) < 0 || dup2(frames, 1) < 0 ||
		dup2(r.parent, 2) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
	r.tap = 0;
	r.frames = 1;
	r.parent = 2;
	/* Root here may be nobody more; an ordinary user is who he is. */
	if (geteuid() == 0 && !setgroups(0, NULL))
		(void)!(setresgid(NOBODY, NOBODY, NOBODY) ||
			setresuid(NOBODY, NOBODY, NOBODY));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		getppid() != parent || fd_nonblock(r.tap, true))
		_exit(1);
	loop(&r);
	_exit(0);
}

int
relay_start(int tap, int frames, struct err *err)
{
	pid_t self = getpid(), child = fork();

	if (child < 0)
		return err_sys(err, "cannot fork");
	if (!child)
		run(self, tap, frames);
	return 0;
}
