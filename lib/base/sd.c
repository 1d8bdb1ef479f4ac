#include "lib/base/sd.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX 64

void
sd_notify(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int fd = -1;
	char text[1024];
	size_t n = path ? strlen(path) : 0;
	va_list ap;
	int len;

	if ((n < 2) || (path[0] != '/' && path[0] != '@') ||
		n >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0 || len >= (int)sizeof(text))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
			(const struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

/* Is the number in this variable ours, or is there none? */
static int
for_us(const char *variable)
{
	const char *s = getenv(variable);
	struct err err = ERR_INIT;
	int64_t pid;

	return !s || (!parse_i64(s, 1, INT32_MAX, variable, &pid, &err) &&
			     pid == getpid());
}

int64_t
sd_watchdog(void)
{
	const char *s = getenv("WATCHDOG_USEC");
	struct err err = ERR_INIT;
	int64_t usec;

	if (!s || !for_us("WATCHDOG_PID") ||
		parse_i64(s, 2000, INT64_MAX, "WATCHDOG_USEC", &usec, &err))
		return -1;
	return usec / 2000;
}

int
sd_socket(const char *name)
{
	const char *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	size_t len = strlen(name);
	struct err err = ERR_INIT;
	int64_t n;
	int i;

	if (!count || !names || !getenv("LISTEN_PID") ||
		!for_us("LISTEN_PID") ||
		parse_i64(count, 0, LISTEN_FDS_MAX, "LISTEN_FDS", &n, &err))
		return -1;
	for (i = 0; i < n; i++) {
		size_t here = strcspn(names, ":");

		if (here == len && !strncmp(names, name, len) &&
			!fd_cloexec(LISTEN_FDS_START + i, true))
			return LISTEN_FDS_START + i;
		names += here + (names[here] == ':');
	}
	return -1;
}
