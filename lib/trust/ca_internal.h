/* What a CA is made of: for ca*.c and cert*.c. */
#ifndef FORGE_TRUST_CA_INTERNAL_H
#define FORGE_TRUST_CA_INTERNAL_H

#include <stdbool.h>
#include "lib/trust/ca.h"
#include "lib/trust/pem.h"

#define CA_KEY "ca.key"
#define CA_CRT "ca.crt"
enum { CA_YEARS = 10 };
#define DAY_MS 86400000LL
#define CERT_BACK (5 * 60000LL) /* clocks differ */

struct ca {
	EVP_PKEY *key;
	X509 *crt;
	X509 *root; /* above an intermediate, or NULL */
	X509 *cross; /* the same key, certified by the CA before; or NULL */
	char serial[SERIAL_SIZE];
};

enum cert_use { USE_CA, USE_INTERMEDIATE, USE_CLIENT, USE_SERVER };

/* All that one certificate differs in from another. */
struct cert_form {
	enum cert_use use;
	const char *name, *org; /* common name, organisation */
	const char *san; /* in OpenSSL's notation, or NULL; ours, never theirs */
	EVP_PKEY *key; /* its public key */
	X509 *issuer; /* NULL: itself */
	EVP_PKEY *issuer_key;
	int64_t not_before, not_after; /* ms */
};
int cert_build(const struct cert_form *f, X509 **ret, struct err *err)
	__attribute__((warn_unused_result));

/* trust/NAME of a state, replaced as a whole. */
int trust_write(struct state *st, const char *name, const struct buf *text,
	bool secret, struct err *err) __attribute__((warn_unused_result));
/* ERR_NOTFOUND. */
int trust_read(struct state *st, const char *name, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

/* The lock run/trust. */
int ca_lock(struct state *st, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));
/* trust/NAME as a CA; ERR_NOTFOUND. */
int ca_read(struct state *st, const char *name, struct ca **ret,
	struct err *err) __attribute__((warn_unused_result));
/* Its text, for a ca.key with the key. */
int ca_text(const struct ca *ca, bool key, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Everything that follows from a ca.key, once more: rows, ca.crt, CRL. */
int ca_follow(struct state *st, struct db *db, struct ca *ca,
	struct err *err) __attribute__((warn_unused_result));
/* The text of a ca.key: key, certificate, those around it. */
int ca_parse(const struct buf *text, const char *what, struct ca **ret,
	struct err *err) __attribute__((warn_unused_result));
/* What ca_write_crl() does, by who holds run/trust. */
int ca_write_crl_locked(struct state *st, struct db *db, struct ca *ca,
	struct err *err)
	__attribute__((warn_unused_result));
/* "ca-old-SERIAL.key"; caller frees. */
char *ca_old_name(const char *serial);

#endif
