/*
 * ca: the certificate authority: who signs, who is trusted.
 *
 *	ca_init(st, "CI Runner", NULL, err)		once
 *	CLEANUP_CA struct ca *ca = NULL;
 *	if (ca_open(st, &ca, err)) ...			to sign
 *	ca_trusted(st, &pem, err)			to check others
 *
 * Keys are ECDSA P-256, a CA is good for 10 years.  trust/ca.key (0600) is
 * the one truth of who signs: the key, then its certificate, then those
 * above it; it is replaced by one rename.  trust/ca.crt are its certificates
 * again, without the key, and the rows of table ca follow; whoever opens the
 * CA puts both right after a crash.
 *
 * A CA that was rotated out stays trusted for an overlap, and its key stays
 * in trust/ca-old-SERIAL.key until then to sign its CRL.  The new CA is also
 * certified by the old one (ca_chain()), so that those who know only the old
 * one accept what the new one signs.
 *
 * Changes are made under the lock run/trust.
 */
#ifndef FORGE_TRUST_CA_H
#define FORGE_TRUST_CA_H

#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/err.h"

struct ca;
struct db;
struct state;

enum { CRL_MAX = 64 << 20 }; /* bytes of trust/crl.pem */

void cleanup_ca(struct ca **ca);
#define CLEANUP_CA __attribute__((cleanup(cleanup_ca)))

/*
 * Make the CA "ORG CA".  ERR_EXISTS when there is one: it is never
 * overwritten.  root_pem (or NULL): a private key, with its certificate when
 * it has one, of an offline root: the CA here becomes an intermediate below
 * it, and the root's key is not kept.
 */
int ca_init(struct state *st, const char *org, const struct buf *root_pem,
	struct err *err) __attribute__((warn_unused_result));
/*
 * A new key and certificate; the old ones are trusted for overlap_ms more.
 * ERR_NOTFOUND without a CA, ERR_BUSY while an older overlap lasts, and
 * ERR_INVALID for an intermediate without its root's key in root_pem.
 */
int ca_rotate(struct state *st, const struct buf *root_pem,
	int64_t overlap_ms, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_NOTFOUND says how to make one. */
int ca_open(struct state *st, struct ca **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * PEM of all CAs that are trusted now, the one that signs first: for the
 * TLS of a listener, and what agents get.  An intermediate's root is there
 * instead of it.
 */
int ca_trusted(struct state *st, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * PEM of the certificates that belong behind one signed here (not the
 * root); adds nothing when it was signed by a root that all know.
 */
int ca_chain(struct ca *ca, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Each CA known, the one that signs first; as rows_each(). */
int ca_each(struct db *db, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));

/*
 * Write trust/crl.pem anew: the revoked certificates of each trusted CA, one
 * CRL each.  Done by every revocation; here for who finds it missing or old
 * (it names a next update after 30 days).
 */
int ca_write_crl(struct state *st, struct err *err)
	__attribute__((warn_unused_result));

#endif
