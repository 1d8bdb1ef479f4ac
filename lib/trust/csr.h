/*
 * csr: certificate requests.  A request comes from a stranger: of it we take
 * the public key, after its signature was checked, and the common name as a
 * wish; everything else in it (other names, extensions, attributes) is
 * ignored, so nothing in it can end up in a certificate.
 */
#ifndef FORGE_TRUST_CSR_H
#define FORGE_TRUST_CSR_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/trust/pem.h"

enum { CSR_MAX = 16 * 1024 };

/*
 * n bytes of PEM (or DER) with one request.  ERR_INVALID when it is not one,
 * is larger than CSR_MAX, is not signed by its own key with SHA-2, or when
 * its key is none of ECDSA P-256 or P-384, Ed25519 and RSA of 2048 to 4096
 * bits.  *ret_name: its common name, "" without; caller frees.
 */
int csr_parse(const char *text, size_t n, EVP_PKEY **ret_key,
	char **ret_name, struct err *err) __attribute__((warn_unused_result));

/* A request for key with the common name, PEM added to ret. */
int csr_make(EVP_PKEY *key, const char *name, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * A name from outside as a part of an agent's name: lower case, what is not
 * a letter or digit becomes '-', at most 24 characters, "host" when nothing
 * is left.  Caller frees.
 */
char *csr_host_name(const char *s);

#endif
