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

#endif
