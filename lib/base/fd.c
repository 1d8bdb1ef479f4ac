#include "lib/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
fd_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

int
fd_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

void
random_bytes(void *p, size_t n)
{
	unsigned char *u = p;

	while (n) {
		ssize_t k = getrandom(u, n, 0);

		if (k < 0 && errno != EINTR)
			BUG("getrandom failed: errno %d", errno);
		if (k > 0) {
			u += k;
			n -= (size_t)k;
		}
	}
}

char *
random_name(size_t n)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char *s = xmalloc(n + 1);
	unsigned char r[32];
	size_t i = 0, left = 0;

	while (i < n) {
		if (!left)
			random_bytes(r, left = sizeof(r));
		/* 252 is the last multiple of 36: no digit is favoured */
		if (r[--left] < 252)
			s[i++] = digits[r[left] % 36];
	}
	s[n] = '\0';
	return s;
}
