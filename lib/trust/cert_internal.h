/* Rows of certificates: for cert*.c and agent*.c. */
#ifndef FORGE_TRUST_CERT_INTERNAL_H
#define FORGE_TRUST_CERT_INTERNAL_H

#include "lib/trust/cert.h"

struct cert_row {
	const char *name; /* common name */
	const char *agent; /* its id, or NULL: a server's */
	const char *san; /* in OpenSSL's notation, or NULL */
	const char *names; /* of a server, as JSON */
};
/* A certificate for key, recorded; in the transaction of the caller. */
int cert_new(struct db *db, struct ca *ca, const struct cert_row *row,
	EVP_PKEY *key, int64_t ttl_ms, struct cert *ret, struct err *err)
	__attribute__((warn_unused_result));

/* A serial number as it is stored; ERR_NOTFOUND when there is no such. */
int cert_find(struct db *db, const char *given, char serial[SERIAL_SIZE],
	struct err *err) __attribute__((warn_unused_result));
/* In the transaction of the caller; ERR_BUSY: it is already. */
int cert_revoke_row(struct db *db, const char *serial, const char *reason,
	struct err *err) __attribute__((warn_unused_result));

#endif
