/*
 * digest: SHA-256 of files, in hexadecimal.
 */
#ifndef FORGE_VM_DIGEST_H
#define FORGE_VM_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct digest {
	char hex[65];
	int64_t size; /* bytes that were read */
};

int digest_file(int dirfd, const char *path, struct digest *ret,
	struct err *err) __attribute__((warn_unused_result));
void digest_bytes(const void *p, size_t n, struct digest *ret);

#define DIGEST_SHA1 20
/* Not for secrecy. */
void digest_sha1(const void *p, size_t n, unsigned char ret[DIGEST_SHA1]);

#endif
