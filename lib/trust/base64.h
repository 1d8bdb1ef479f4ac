/*
 * base64: bytes as text (RFC 4648): the usual alphabet with padding, and the
 * one for URLs, tokens and file names without.
 */
#ifndef FORGE_TRUST_BASE64_H
#define FORGE_TRUST_BASE64_H

#include "lib/base/buf.h"

/* The text of n bytes, added to out.  No line breaks. */
void base64_add(struct buf *out, const void *p, size_t n);
void base64url_add(struct buf *out, const void *p, size_t n);
/* The usual alphabet with padding, at most max bytes of result added to ret;
 * -1 for anything else. */
int base64_decode(const char *s, size_t n, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));
/* Likewise of the alphabet for URLs without padding; of the forms that mean
 * the same bytes only the one that base64url_add() gives. */
int base64url_decode(const char *s, size_t n, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));

#endif
