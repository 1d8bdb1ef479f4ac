/*
 * hmac: HMAC-SHA256, as GitHub signs its webhooks with it.
 */
#ifndef FORGE_TRUST_HMAC_H
#define FORGE_TRUST_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"

enum { HMAC_SIZE = 32 };

int hmac_sha256(const void *key, size_t nkey, const void *p, size_t n,
	unsigned char ret[HMAC_SIZE], struct err *err)
	__attribute__((warn_unused_result));

/* "sha256=" and 64 hexadecimal digits, nothing else; false otherwise. */
bool hmac_parse(const char *text, unsigned char ret[HMAC_SIZE]);

/* Equal?  Takes the same time wherever they differ. */
bool hmac_equal(const unsigned char a[HMAC_SIZE],
	const unsigned char b[HMAC_SIZE]);

#endif
