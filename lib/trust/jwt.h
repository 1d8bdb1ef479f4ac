/*
 * jwt: the token by which a GitHub App says who it is: signed with its
 * private key (RS256), good for a few minutes, and for nothing but asking
 * for installation tokens.
 */
#ifndef FORGE_TRUST_JWT_H
#define FORGE_TRUST_JWT_H

#include <stdint.h>
#include "lib/base/err.h"

/*
 * The claims: iss is issuer (the App's id or client id), iat a minute before
 * now (ms since 1970; clocks differ) and exp nine minutes after it (GitHub
 * takes ten at most).  key_file: a PEM private RSA key without passphrase.
 * *ret is a secret; caller frees.  ERR_NOTFOUND: no such file; ERR_INVALID:
 * it is not such a key.
 */
int jwt_app(const char *key_file, const char *issuer, int64_t now, char **ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
