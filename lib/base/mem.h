/*
 * mem: memory that is either there or the program ends, and resources that
 * release themselves at the end of their scope.
 *
 * The x-functions abort on exhaustion: they are for sizes that the program
 * chose itself.  A size that came from outside is bounded by its reader
 * first (struct buf has a hard maximum for that).
 *
 *	CLEANUP_FREE char *name = xstrdup(s);
 *	CLEANUP_CLOSE int fd = open(...);
 *	return steal_fd(&fd);
 */
#ifndef FORGE_BASE_MEM_H
#define FORGE_BASE_MEM_H

#include <stddef.h>
#include <stdarg.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xreallocarray(void *p, size_t n, size_t size)
	__attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* NULL in, NULL out. */
char *xstrdup_null(const char *s);
char *xstrndup(const char *s, size_t n)
	__attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 0)));

/* For the attributes below; p points to the variable. */
void cleanup_free(void *p);
void cleanup_close(int *fd);
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_CLOSE CLEANUP(cleanup_close)

/* Hand a resource over: the variable no longer owns it. */
void *steal_ptr(void *pp);
int steal_fd(int *fd);

#endif
