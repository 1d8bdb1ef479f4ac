#include "lib/net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define FLAGS (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static int
finish(int fd, const char *where, const struct sockaddr *to, socklen_t n,
	int *ret, struct err *err)
{
	CLEANUP_CLOSE int owned = fd;

	if (bind(fd, to, n) || listen(fd, SOMAXCONN)) {
		if (errno == EADDRINUSE)
			return err_set(err, ERR_BUSY,
				"another program listens on '%s'", where);
		return err_sys(err, "cannot listen on '%s'", where);
	}
	*ret = steal_fd(&owned);
	return 0;
}

/* ---- Unix ---- */

/* Take away what a dead program left: nobody answers there. */
static int
clear_path(const char *path, const struct sockaddr_un *to, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;
	struct stat sb;

	if (lstat(path, &sb))
		return errno == ENOENT ? 0 : err_sys(err, "'%s'", path);
	if (!S_ISSOCK(sb.st_mode))
		return err_set(err, ERR_BUSY, "'%s' is not a socket", path);
	fd = socket(AF_UNIX, FLAGS, 0);
	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	if (!connect(fd, (const struct sockaddr *)to, sizeof(*to)) ||
		errno != ECONNREFUSED)
		return err_set(err, ERR_BUSY,
			"another program listens on '%s'", path);
	return unlink(path) ? err_sys(err, "cannot remove '%s'", path) : 0;
}

static int
listen_unix(const char *path, int *ret, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(err, ERR_INVALID,
			"'%s': the path of a socket has at most %zu bytes",
			path, sizeof(to.sun_path) - 1);
	memcpy(to.sun_path, path, strlen(path));
	if (clear_path(path, &to, err))
		return -1;
	fd = socket(AF_UNIX, FLAGS, 0);
	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	mask = umask(0117);
	rc = finish(fd, path, (const struct sockaddr *)&to, sizeof(to), ret,
		err);
	(void)umask(mask);
	return rc;
}

/* ---- TCP ---- */

static int
listen_addr(const char *where, const struct addrinfo *ai, int *ret,
	struct err *err)
{
	int fd = socket(ai->ai_family, FLAGS, 0), one = 1;

	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	/* Or the address stays taken for a minute after a restart. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return finish(fd, where, ai->ai_addr, ai->ai_addrlen, ret, err);
}

static int
listen_tcp(const char *where, int *ret, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	const char *colon = strrchr(where, ':');
	CLEANUP_FREE char *host = NULL;
	struct addrinfo *ai = NULL;
	size_t n;
	int rc;

	if (!colon || colon == where || !colon[1])
		return err_set(err, ERR_INVALID,
			"'%s' is neither ADDRESS:PORT nor /PATH", where);
	host = xstrndup(where, (size_t)(colon - where));
	n = strlen(host);
	if (*host == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		memmove(host, host + 1, n - 1);
	}
	if (getaddrinfo(strcmp(host, "*") ? host : NULL, colon + 1, &hints,
		    &ai))
		return err_set(err, ERR_INVALID,
			"'%s' is neither ADDRESS:PORT nor /PATH", where);
	rc = listen_addr(where, ai, ret, err);
	freeaddrinfo(ai);
	return rc;
}

int
listen_open(const char *where, int *ret_fd, struct err *err)
{
	return *where == '/' ? listen_unix(where, ret_fd, err) :
			       listen_tcp(where, ret_fd, err);
}
