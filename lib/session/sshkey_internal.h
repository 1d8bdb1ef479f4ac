/* Between the two files of sshkey. */
#ifndef FORGE_SESSION_SSHKEY_INTERNAL_H
#define FORGE_SESSION_SSHKEY_INTERNAL_H

#include <openssl/evp.h>
#include "lib/session/sshkey.h"

enum { ED25519_SIZE = 32 };

void sshkey_from_raw(const unsigned char *seed, const unsigned char *pub,
	const char *comment, struct sshkey *ret);
int sshkey_from_evp(EVP_PKEY *key, const char *comment, struct sshkey *ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
