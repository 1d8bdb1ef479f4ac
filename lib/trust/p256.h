/*
 * p256: what OpenSSL's encoders and decoders do for keys of any kind, done
 * for the one kind that we make: to set them up takes half a millisecond of
 * each program and each certificate.  Where a function here declines, the
 * key is of another kind, and OpenSSL's own way is the right one.
 */
#ifndef FORGE_TRUST_P256_H
#define FORGE_TRUST_P256_H

#include <stdbool.h>
#include <stddef.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

enum { P256_DER = 138 }; /* bytes of a private key as PKCS#8 */

/* The private key as PKCS#8; false: it is not one of P-256.  The caller
 * overwrites ret. */
bool p256_write(EVP_PKEY *key, unsigned char ret[P256_DER]);
/* NULL: not a P-256 key with its public half, in the form written above. */
EVP_PKEY *p256_read(const unsigned char *der, size_t n);
/* As X509_set_pubkey(). */
bool p256_certify(X509 *crt, EVP_PKEY *key);

#endif
