#include "lib/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* Shared by all empty buffers; nobody writes to it. */
char buf_empty[1];

void
buf_release(struct buf *b)
{
	if (b->alloc)
		free(b->s);
	*b = BUF_INIT;
}

void
buf_reset(struct buf *b)
{
	buf_setlen(b, 0);
}

void
buf_grow(struct buf *b, size_t extra)
{
	size_t want;

	if (extra >= SIZE_MAX / 2 - b->len)
		BUG("buffer of %zu bytes more", extra);
	want = b->len + extra + 1;
	if (want <= b->alloc)
		return;
	if (want < b->alloc + b->alloc / 2)
		want = b->alloc + b->alloc / 2;
	if (want < 64)
		want = 64;
	b->s = xreallocarray(b->alloc ? b->s : NULL, want, 1);
	b->alloc = want;
	b->s[b->len] = '\0';
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (!n)
		return;
	buf_grow(b, n);
	memcpy(b->s + b->len, p, n);
	buf_setlen(b, b->len + n);
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		BUG("bad format '%s'", fmt);
	buf_grow(b, (size_t)n);
	va_start(ap, fmt);
	(void)vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_setlen(struct buf *b, size_t n)
{
	if (n > b->len && n >= b->alloc)
		BUG("length %zu of %zu", n, b->alloc);
	b->len = n;
	if (b->alloc)
		b->s[n] = '\0';
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		BUG("consume %zu of %zu", n, b->len);
	if (!n)
		return;
	memmove(b->s, b->s + n, b->len - n);
	buf_setlen(b, b->len - n);
}

void
buf_rtrim(struct buf *b)
{
	size_t n = b->len;

	while (n && strchr(" \t\r\n", b->s[n - 1]))
		n--;
	buf_setlen(b, n);
}

char *
buf_detach(struct buf *b)
{
	char *s;

	buf_grow(b, 0);
	s = b->s;
	*b = BUF_INIT;
	return s;
}

ssize_t
buf_read_some(struct buf *b, int fd, size_t max)
{
	size_t room = max > b->len ? max - b->len : 0;
	ssize_t n;

	if (!room) {
		errno = ENOBUFS;
		return -1;
	}
	if (room > 65536)
		room = 65536;
	buf_grow(b, room);
	do
		n = read(fd, b->s + b->len, room);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		buf_setlen(b, b->len + (size_t)n);
	return n;
}

int
buf_read_fd(struct buf *b, int fd, size_t max, const char *what,
	struct err *err)
{
	size_t start = b->len;
	ssize_t n;

	/* One byte over the limit tells "too much" from "just enough". */
	while ((n = buf_read_some(b, fd, start + max + 1)) > 0)
		if (b->len - start > max) {
			buf_setlen(b, start);
			return err_set(err, ERR_LIMIT,
				"%s: more than %zu bytes", what, max);
		}
	if (n == 0)
		return 0;
	buf_setlen(b, start);
	return err_sys(err, "cannot read %s", what);
}

void
buf_addhex(struct buf *b, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *u = p;
	size_t i;

	buf_grow(b, 2 * n);
	for (i = 0; i < n; i++) {
		b->s[b->len++] = digits[u[i] >> 4];
		b->s[b->len++] = digits[u[i] & 15];
	}
	b->s[b->len] = '\0';
}
