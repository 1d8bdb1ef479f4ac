#include "lib/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/banned.h"

static void *
need(void *p)
{
	if (!p)
		bug(__FILE__, __LINE__, "out of memory");
	return p;
}

void *
xmalloc(size_t n)
{
	return need(malloc(n ? n : 1));
}

void *
xcalloc(size_t n, size_t size)
{
	return need(calloc(n ? n : 1, size ? size : 1));
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	return need(reallocarray(p, n ? n : 1, size ? size : 1));
}

char *
xstrdup(const char *s)
{
	return need(strdup(s));
}

char *
xstrdup_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

char *
xstrndup(const char *s, size_t n)
{
	return need(strndup(s, n));
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return need(s);
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void
cleanup_free(void *p)
{
	free(*(void **)p);
}

void
cleanup_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* only the error path comes here */
}

void *
steal_ptr(void *pp)
{
	void *p = *(void **)pp;

	*(void **)pp = NULL;
	return p;
}

int
steal_fd(int *fd)
{
	int n = *fd;

	*fd = -1;
	return n;
}
