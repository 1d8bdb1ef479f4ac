/*
 * pem: keys and certificates of ours, as OpenSSL has them and as text.
 *
 * Only for lib/trust: everybody else handles PEM text.  All keys that we make
 * are ECDSA P-256, written as PKCS#8 ("BEGIN PRIVATE KEY") without
 * passphrase.  Nothing here reads OpenSSL's configuration file.
 */
#ifndef FORGE_TRUST_PEM_H
#define FORGE_TRUST_PEM_H

#include <stdbool.h>
#include <stdint.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
	PEM_MAX = 64 * 1024, /* bytes of any file or message that we read */
	SERIAL_SIZE = 2 * 20 + 1, /* a serial number as hex, with its NUL */
	FINGERPRINT_SIZE = 2 * 32 + 1,
};

void cleanup_key(EVP_PKEY **key);
void cleanup_x509(X509 **crt);
void cleanup_req(X509_REQ **req);
void cleanup_crl(X509_CRL **crl);
/* Overwrites what was in it. */
void cleanup_secret(struct buf *b);
#define CLEANUP_PKEY __attribute__((cleanup(cleanup_key)))
#define CLEANUP_X509 __attribute__((cleanup(cleanup_x509)))
#define CLEANUP_REQ __attribute__((cleanup(cleanup_req)))
#define CLEANUP_CRL __attribute__((cleanup(cleanup_crl)))
#define CLEANUP_SECRET __attribute__((cleanup(cleanup_secret)))

/* What OpenSSL says of its last failure, as err: "what: ...". */
#define pem_failed(err, ...) (pem_do_failed((err), __VA_ARGS__), -1)
void pem_do_failed(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

int pem_make_key(EVP_PKEY **ret, struct err *err)
	__attribute__((warn_unused_result));
/* The first private key in the text; ERR_INVALID, the message names what. */
int pem_key(const char *text, size_t n, const char *what, EVP_PKEY **ret,
	struct err *err) __attribute__((warn_unused_result));
/* The first certificate; ERR_NOTFOUND when there is none at all. */
int pem_cert(const char *text, size_t n, const char *what, X509 **ret,
	struct err *err) __attribute__((warn_unused_result));
int pem_add_key(struct buf *out, EVP_PKEY *key, struct err *err)
	__attribute__((warn_unused_result));
int pem_add_cert(struct buf *out, X509 *crt, struct err *err)
	__attribute__((warn_unused_result));
/* "-----BEGIN what-----", the bytes as base64, "-----END what-----". */
void pem_add(struct buf *out, const char *what, const void *der, size_t n);

/* Serial number, lower case, at least two digits. */
int pem_serial(X509 *crt, char ret[SERIAL_SIZE], struct err *err)
	__attribute__((warn_unused_result));
/* SHA-256 over the DER of the certificate, lower case. */
int pem_fingerprint(X509 *crt, char ret[FINGERPRINT_SIZE], struct err *err)
	__attribute__((warn_unused_result));
/* ms since 1970. */
int64_t pem_time(const ASN1_TIME *t);
/* The common name of a certificate's subject; caller frees; "" without. */
char *pem_name(X509 *crt);

#endif
