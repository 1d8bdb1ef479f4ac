#include "lib/base/argv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* Shared by all empty lists; nobody writes to it. */
char *argv_empty[1];

void
argv_release(struct argv *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		free(a->v[i]);
	if (a->alloc)
		free(a->v);
	*a = ARGV_INIT;
}

static void
push_owned(struct argv *a, char *s)
{
	if (a->n + 2 > a->alloc) {
		size_t want = a->alloc ? 2 * a->alloc : 16;

		a->v = xreallocarray(a->alloc ? a->v : NULL, want,
			sizeof(*a->v));
		a->alloc = want;
	}
	a->v[a->n++] = s;
	a->v[a->n] = NULL;
}

void
argv_push(struct argv *a, const char *s)
{
	push_owned(a, xstrdup(s));
}

void
argv_pushf(struct argv *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	push_owned(a, xvasprintf(fmt, ap));
	va_end(ap);
}

void
argv_pushv(struct argv *a, const char *const *list)
{
	for (; *list; list++)
		argv_push(a, *list);
}

static void
split(struct argv *a, const char *s, const char *separators)
{
	size_t n;

	for (; *(s += strspn(s, separators)); s += n) {
		n = strcspn(s, separators);
		push_owned(a, xstrndup(s, n));
	}
}

void
argv_split(struct argv *a, const char *s)
{
	split(a, s, " \t\r\n");
}

void
argv_splitc(struct argv *a, const char *s, char c)
{
	split(a, s, (char[]){ c, '\0' });
}

static void
quote_one(const char *s, struct buf *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789@%+=:,./_-";

	if (*s && !s[strspn(s, plain)]) {
		buf_adds(out, s);
		return;
	}
	buf_addc(out, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *s);
	buf_addc(out, '\'');
}

void
argv_quote(const char *const *list, struct buf *out)
{
	const char *const *p;

	for (p = list; *p; p++) {
		if (p != list)
			buf_addc(out, ' ');
		quote_one(*p, out);
	}
}
