/*
 * argv: a growing, always NULL-terminated list of owned strings.
 */
#ifndef FORGE_BASE_ARGV_H
#define FORGE_BASE_ARGV_H

#include <stddef.h>

struct buf;

struct argv {
	char **v; /* never NULL */
	size_t n;
	size_t alloc;
};

extern char *argv_empty[];
#define ARGV_INIT ((struct argv){ .v = argv_empty })
#define CLEANUP_ARGV __attribute__((cleanup(argv_release)))

void argv_release(struct argv *a);
void argv_push(struct argv *a, const char *s);
void argv_pushf(struct argv *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* All of list, up to its NULL. */
void argv_pushv(struct argv *a, const char *const *list);
/* The parts of s between white space; no quoting is known. */
void argv_split(struct argv *a, const char *s);
/* The parts of s between the bytes c; empty parts are left out. */
void argv_splitc(struct argv *a, const char *s, char c);
/* For people and logs: quoted so that a POSIX shell gives the list back. */
void argv_quote(const char *const *list, struct buf *out);

#endif
