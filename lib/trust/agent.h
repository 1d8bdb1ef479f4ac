/*
 * agent: the hosts that registered: rows of table agent, and how they come
 * to be.
 *
 *	enroll	a token, and a request or the wish for a key: an agent with
 *		its first certificate.  All or nothing.
 *	renew	an agent that shows its certificate: the next one
 *
 * Then what its stream tells: connected, report, seen, gone.  Those who
 * write rows of a stream look at agent_check() first.
 */
#ifndef FORGE_TRUST_AGENT_H
#define FORGE_TRUST_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/json.h"
#include "lib/trust/cert.h"

struct ca;
struct db;
struct state;

enum { AGENT_ID_MAX = 63 }; /* fits a DNS label and a common name */

struct enroll {
	const char *token;
	const char *host; /* as the agent says; becomes part of its id */
	const char *kind; /* "vm", "tart", "proxmox", any case */
	const char *csr; /* PEM or DER, or NULL: the key is made here */
	size_t ncsr;
	struct json *labels; /* array of strings, or NULL; borrowed */
	int64_t max_vms;
	int64_t ttl_ms; /* of the certificate; 0: CERT_TTL */
};

/* One who asks, and the answer: id and certificate (the caller's to free), or
 * err says why not. */
struct enrolment {
	struct enroll ask;
	char *id; /* "agent_KIND_HOST_XXXXXXXX"; NULL: err */
	struct cert cert;
	struct err err;
};

/*
 * Several at once are one transaction: its sync is most of what one costs.
 * Each is refused for itself, and a token is good for one of them.
 * ERR_AUTH: the token (why: token.h).  ERR_INVALID: the request or the kind;
 * the token is still good then.
 */
void agent_enroll(struct state *st, struct ca *ca, struct enrolment *v,
	size_t n);
/* id and serial as the agent's certificate says; csr as above. */
int agent_renew(struct state *st, struct ca *ca, const char *id,
	const char *serial, const char *csr, size_t ncsr, int64_t ttl_ms,
	struct cert *ret, struct err *err) __attribute__((warn_unused_result));
/* An agent for a request that came by hand (sign); no token. */
int agent_sign(struct state *st, struct ca *ca, const char *kind,
	const char *host, const char *csr, size_t ncsr, int64_t ttl_ms,
	char **ret_id, struct cert *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The four below are called inside a db_begin() of the caller's: what a
 * thousand agents say at once is few transactions.
 */

/* What an agent says of itself on its stream (AgentStatus). */
struct agent_report {
	const char *host, *kind, *version; /* NULL: as before */
	struct json *label_sets; /* array of arrays of strings; borrowed */
	int64_t max_vms, active, slots;
};

/* Its stream is open, from that address.  Event agent.connected. */
int agent_connected(struct db *db, const char *id, const char *address,
	struct err *err) __attribute__((warn_unused_result));
/* Never touches revoked_at; an event agent.changed when labels or capacity
 * did, otherwise only the row.  Implies seen. */
int agent_report(struct db *db, const char *id, const struct agent_report *r,
	struct err *err) __attribute__((warn_unused_result));
/* It said something; at most every few seconds, please. */
int agent_seen(struct db *db, const char *id, struct err *err)
	__attribute__((warn_unused_result));
/* Its stream ended.  Event agent.gone with the reason; none when it was
 * not connected.  id NULL: all (the coordinator starts). */
int agent_gone(struct db *db, const char *id, const char *reason,
	struct err *err) __attribute__((warn_unused_result));

/* The agent and all its certificates.  ERR_NOTFOUND, ERR_BUSY (it is
 * already).  Events agent.revoked and cert.revoked; writes the CRL. */
int agent_revoke(struct state *st, const char *id, struct err *err)
	__attribute__((warn_unused_result));
/* As rows_each(); all: revoked ones, too. */
int agent_each(struct db *db, int all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
