/*
 * follow tick COUNT MS: be an agent that prints the time, COUNT times, MS
 * apart.
 * follow read N COMMAND [ARG...]: N copies of COMMAND, followers of that
 * agent; prints ms from its print to our read: median, 99th percentile, most.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, LINES = 1000000 };

static int64_t
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int
tick(int count, int ms)
{
	while (count-- > 0) {
		printf("%" PRId64 "\n", now());
		if (fflush(stdout))
			return 1;
		usleep((useconds_t)ms * 1000);
	}
	return 0;
}

static int64_t took[LINES];
static size_t n;

/* All whole lines of b; what is left of it is moved to its beginning. */
static size_t
lines(char *b, size_t len)
{
	static const char mark[] = "\"kind\":\"output\",\"data\":{\"text\":\"";
	char *p = b, *end;
	int64_t at = now();

	while ((end = memchr(p, '\n', len - (size_t)(p - b)))) {
		char *text;

		*end = '\0';
		text = strstr(p, mark);
		if (text && n < LINES)
			took[n++] = at - strtoll(text + strlen(mark), NULL, 10);
		p = end + 1;
	}
	len -= (size_t)(p - b);
	memmove(b, p, len);
	return len;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int
start(char **argv)
{
	int fds[2];

	if (pipe(fds))
		exit(1);
	if (!fork()) {
		(void)dup2(fds[1], 1);
		(void)close(fds[0]);
		(void)close(fds[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	(void)close(fds[1]);
	return fds[0];
}

static int
follow(int copies, char **argv)
{
	static char bufs[MOST][1 << 16];
	size_t lens[MOST] = { 0 };
	struct pollfd p[MOST];
	int i, open = copies;

	for (i = 0; i < copies; i++)
		p[i] = (struct pollfd){ .fd = start(argv), .events = POLLIN };
	while (open && poll(p, (nfds_t)copies, -1) > 0)
		for (i = 0; i < copies; i++) {
			ssize_t got;

			if (!p[i].revents)
				continue;
			got = read(p[i].fd, bufs[i] + lens[i],
				sizeof(bufs[i]) - lens[i]);
			if (got <= 0) {
				(void)close(p[i].fd);
				p[i].fd = -1;
				open--;
				continue;
			}
			lens[i] = lines(bufs[i], lens[i] + (size_t)got);
		}
	if (!n)
		return 1;
	qsort(took, n, sizeof(took[0]), compare);
	printf("%.3f %.3f %.3f %zu\n", (double)took[n / 2] / 1e6,
		(double)took[n * 99 / 100] / 1e6, (double)took[n - 1] / 1e6, n);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "tick"))
		return tick(atoi(argv[2]), atoi(argv[3]));
	if (argc > 3 && !strcmp(argv[1], "read") && atoi(argv[2]) <= MOST)
		return follow(atoi(argv[2]), argv + 3);
	return 2;
}
