/*
 * redact: secret values taken out of bytes that pass, also those that lie
 * across the end of a piece.
 *
 *	struct redactor *r = redact_new();
 *	redact_add(r, "API key", key);
 *	redact_take(r, piece, n, &out);		out: what is safe to hand on
 *	redact_flush(r, &out);			the end: what was held back
 *	redact_free(r);
 *
 * Each value becomes "[redacted: NAME]".  It is found as it is, and as JSON
 * text, percent-encoded text and base64 (each of its three positions) would
 * have it.  Values of less than 8 bytes are not looked for: they would be
 * found everywhere.  At most REDACT_MAX forms are kept, each of 16 KiB.
 */
#ifndef FORGE_SESSION_REDACT_H
#define FORGE_SESSION_REDACT_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/buf.h"

struct redactor;

enum { REDACT_MAX = 512, REDACT_SHORTEST = 8, REDACT_LONGEST = 16384 };

struct redactor *redact_new(void);
/* NULL is nothing to free.  Values are wiped. */
void redact_free(struct redactor *r);

/* name is shown in its place; false: too short, too long, or too many. */
bool redact_add(struct redactor *r, const char *name, const char *value);
/* Is there anything to look for? */
bool redact_any(const struct redactor *r);

/* The next n bytes; adds to out all that cannot be part of a value. */
void redact_take(struct redactor *r, const char *p, size_t n,
	struct buf *out);
/* No more comes: the rest. */
void redact_flush(struct redactor *r, struct buf *out);
/* Bytes that are whole by themselves (a line): take and flush.  b's content
 * is replaced; true: something was found. */
bool redact_buf(struct redactor *r, struct buf *b);

#endif
