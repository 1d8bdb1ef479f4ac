/*
 * cert: certificates, each with a row in table cert from before anybody can
 * have it until it is forgotten.
 *
 * Agents' certificates have the agent's id as common name and DNS name, and
 * are good for clients of TLS only; servers' are good for servers only.
 * Serial numbers are 128 random bits.  A certificate begins five minutes
 * before it was made, since clocks differ, and never outlives its CA.
 */
#ifndef FORGE_TRUST_CERT_H
#define FORGE_TRUST_CERT_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/json.h"
#include "lib/trust/pem.h"

struct ca;
struct db;
struct state;

#define CERT_TTL (365 * 86400000LL) /* ms, by default */

struct cert {
	char serial[SERIAL_SIZE];
	char *pem; /* the certificate and the chain below the root */
	char *key; /* NULL unless it was made here; a secret */
	int64_t not_before, not_after; /* ms since 1970 */
};
#define CERT_INIT ((struct cert){ .pem = NULL })
#define CLEANUP_CERT __attribute__((cleanup(cert_release)))
void cert_release(struct cert *c);

/*
 * A certificate of agent (its id) in the transaction of the caller.  key:
 * the agent's public key (csr_parse()), or NULL: a key is made here, as
 * kuiper-forge's agents want it.  The caller opened the CA before its
 * transaction.
 */
int cert_issue(struct db *db, struct ca *ca, const char *agent,
	EVP_PKEY *key, int64_t ttl_ms, struct cert *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The listener's certificate and key, trust/server.crt (with its chain) and
 * trust/server.key (0600): made or renewed when they are missing, past 2/3 of
 * their life, from a CA rotated out, or not for one of the names: given (or
 * NULL) are DNS names and addresses; the host's own name, localhost,
 * 127.0.0.1 and ::1 are always there, and the hosts of the URLs of tokens
 * that can be used.
 * *ret_new (may be NULL): true when they were written.  force: anyhow.  The
 * key's file has the certificates behind the key, so who loads both from it
 * never sees halves of two.
 */
int cert_server(struct state *st, const struct argv *given, bool force,
	bool *ret_new, struct err *err) __attribute__((warn_unused_result));

/*
 * May who shows the certificate with that serial number (given: hex, any
 * case, leading zeros or not) and that common name still come in?  0: yes, and *ret_after
 * (may be NULL) is when it ends.  ERR_AUTH says why not: unknown, of somebody
 * else, expired, not valid yet, revoked, its agent revoked.  For the
 * handshake, and again while a stream lives whenever an event cert.revoked
 * or agent.revoked comes.
 */
int cert_check(struct db *db, const char *given, const char *name,
	int64_t *ret_after, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_NOTFOUND, ERR_BUSY (it is already); writes the CRL. */
int cert_revoke(struct state *st, const char *given, const char *reason,
	struct err *err) __attribute__((warn_unused_result));
/* A new one for the same agent and public key; the old one stays valid. */
int cert_renew(struct state *st, const char *given, int64_t ttl_ms,
	struct cert *ret, struct err *err) __attribute__((warn_unused_result));

/* As rows_each(), newest first; all: expired and revoked ones, too. */
int cert_each(struct db *db, int all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));
int cert_show(struct db *db, const char *given, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
