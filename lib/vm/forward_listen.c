#include "lib/vm/forward_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

/* ---- what was asked for ---- */

static int
bad(const char *s, bool reverse, struct err *err)
{
	return err_set(err, ERR_USAGE, "'%.80s' is not %s", s,
		reverse ? "PORT:[ADDR:]HOSTPORT or PORT:PATH" :
			  "[ADDR:]HOSTPORT:PORT or PATH:PORT");
}

static int
parse_path(const char *path, struct forward_spec *ret, struct err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(err, ERR_USAGE,
			"'%.120s': a path of more than %zu bytes cannot be a "
			"socket", path, sizeof(un.sun_path) - 1);
	ret->path = xstrdup(path);
	memcpy(un.sun_path, path, strlen(path) + 1);
	memcpy(&ret->address, &un, sizeof(un));
	ret->length = sizeof(un);
	return 0;
}

static int
parse_address(const char *host, const char *port, struct forward_spec *ret,
	struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *ai;
	int n;

	if (parse_int(*port ? port : "0", 0, 65535, "HOSTPORT", &n, err))
		return -1;
	if (!strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (getaddrinfo(host, *port ? port : "0", &hints, &ai))
		return err_set(err, ERR_USAGE,
			"'%.80s' is not an address like 127.0.0.1 or [::1]",
			host);
	memcpy(&ret->address, ai->ai_addr, ai->ai_addrlen);
	ret->length = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

/* host is the text before ":PORT"; it may be cut. */
static int
parse_host(char *host, const char *whole, struct forward_spec *ret,
	struct err *err)
{
	char *colon = strrchr(host, ':');
	size_t n;

	if (strchr(host, '/'))
		return parse_path(host, ret, err);
	if (!colon)
		return parse_address("127.0.0.1", host, ret, err);
	*colon = '\0';
	n = strlen(host);
	if (*host == '[' && n > 2 && host[n - 1] == ']') {
		host[n - 1] = '\0';
		host++;
	} else if (!n || strpbrk(host, ":[]")) {
		return bad(whole, ret->reverse, err);
	}
	return parse_address(host, colon + 1, ret, err);
}

int
forward_parse(const char *s, struct forward_spec *ret, struct err *err)
{
	CLEANUP_FREE char *text = xstrdup(s);
	char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	int n;

	*ret = (struct forward_spec){ 0 };
	if (!*port)
		return bad(s, false, err);
	if (parse_int(port, 1, 65535, "PORT", &n, err))
		return -1;
	ret->port = (uint16_t)n;
	if (!colon)
		return parse_address("127.0.0.1", text, ret, err);
	*colon = '\0';
	return parse_host(text, s, ret, err);
}

/* Port 0 is nowhere to connect to. */
static bool
has_port(const struct forward_spec *s)
{
	struct sockaddr_storage a = s->address;
	const void *p = &a;

	if (s->path)
		return true;
	return a.ss_family == AF_INET6 ?
		((const struct sockaddr_in6 *)p)->sin6_port != 0 :
		((const struct sockaddr_in *)p)->sin_port != 0;
}

int
forward_parse_reverse(const char *s, struct forward_spec *ret,
	struct err *err)
{
	CLEANUP_FREE char *text = xstrdup(s);
	char *colon = strchr(text, ':');
	int n;

	*ret = (struct forward_spec){ .reverse = true };
	if (colon)
		*colon = '\0';
	if (parse_int(*text || !colon ? text : "0", 0, 65535, "PORT", &n, err))
		return -1;
	ret->port = (uint16_t)n;
	if (parse_host(colon ? colon + 1 : text, s, ret, err))
		return -1;
	return has_port(ret) ? 0 : bad(s, true, err);
}

void
forward_spec_release(struct forward_spec *s)
{
	cleanup_free(&s->path);
}

/* ---- listening ---- */

static char *
address_name(int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t n = sizeof(a);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&a, &n) ||
		getnameinfo((struct sockaddr *)&a, n, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return xstrdup("?");
	return xasprintf(a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		port);
}

/* A socket that a dead process left: nobody answers. */
static void
remove_stale(const struct forward_spec *s)
{
	struct stat st;
	CLEANUP_CLOSE int fd = -1;

	if (lstat(s->path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
		connect(fd, (const struct sockaddr *)&s->address, s->length) &&
		errno == ECONNREFUSED)
		(void)unlink(s->path); /* else bind says it */
}

int
forward_listen(const struct forward_spec *s, struct listener *ret,
	struct err *err)
{
	CLEANUP_FREE char *name = NULL;
	const int on = 1;
	char host[64] = "?", port[16] = "?";

	ret->fd = socket(s->address.ss_family,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ret->fd < 0)
		return err_sys(err, "cannot make a socket");
	ret->port = s->port;
	if (s->path) {
		remove_stale(s);
		/* Before bind, so that the file never has another mode. */
		(void)fchmod(ret->fd, 0600);
		name = xstrdup(s->path);
	} else {
		(void)setsockopt(ret->fd, SOL_SOCKET, SO_REUSEADDR, &on,
			sizeof(on));
		(void)getnameinfo((const struct sockaddr *)&s->address,
			s->length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV);
		name = xasprintf("%s:%s", host, port);
	}
	if (bind(ret->fd, (const struct sockaddr *)&s->address, s->length) ||
		listen(ret->fd, 128)) {
		int e = errno;

		(void)err_sys(err, "cannot listen on '%s'", name);
		if (e == EADDRINUSE)
			err->code = ERR_EXISTS;
		return -1;
	}
	ret->path = s->path;
	ret->name = s->path ? xstrdup(s->path) : address_name(ret->fd);
	return 0;
}

void
forward_unlisten(struct listener *l)
{
	if (l->path)
		(void)unlink(l->path); /* it may be gone already */
	cleanup_close(&l->fd);
	cleanup_free(&l->name);
}
