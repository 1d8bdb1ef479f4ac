/*
 * buf: a growing string of bytes.
 *
 * s is never NULL and always NUL-terminated; len does not count that NUL;
 * bytes in the middle may be NUL too.  Nothing may be kept pointing into s
 * across a call that adds.  A buffer that is fed from outside (network,
 * child, file, database) takes a maximum at its start: what would pass it
 * fails with ERR_LIMIT and leaves the buffer as it was.
 *
 *	struct buf b = BUF_INIT;
 *	buf_addf(&b, "%s=%d", k, v);
 *	...
 *	buf_release(&b);
 */
#ifndef FORGE_BASE_BUF_H
#define FORGE_BASE_BUF_H

#include <stddef.h>
#include <sys/types.h>
#include "lib/base/err.h"

struct buf {
	char *s;
	size_t len;
	size_t alloc; /* 0: s is not ours to free */
};

extern char buf_empty[];
#define BUF_INIT ((struct buf){ .s = buf_empty })
#define CLEANUP_BUF __attribute__((cleanup(buf_release)))

void buf_release(struct buf *b);
void buf_reset(struct buf *b); /* len 0, memory kept */
void buf_grow(struct buf *b, size_t extra); /* room for extra + NUL */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Cut to n bytes; n must not exceed len. */
void buf_setlen(struct buf *b, size_t n);
/* Remove the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Trailing white space off. */
void buf_rtrim(struct buf *b);
/* The string is the caller's to free; the buffer is empty again. */
char *buf_detach(struct buf *b);

/*
 * Read to the end of fd; fails with ERR_LIMIT when more than max bytes come.
 * what names the source for the message.
 */
int buf_read_fd(struct buf *b, int fd, size_t max, const char *what,
	struct err *err) __attribute__((warn_unused_result));
/*
 * One read(2), at most until len is max.  Returns the bytes read, 0 at the
 * end, -1 with errno on error (EAGAIN included, ENOBUFS when already full).
 */
ssize_t buf_read_some(struct buf *b, int fd, size_t max);

/* Hexadecimal, lower case. */
void buf_addhex(struct buf *b, const void *p, size_t n);

#endif
