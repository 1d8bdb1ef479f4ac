/*
 * member: this host as an agent of a coordinator elsewhere: its identity, in
 * agent/identity.json (0600) of the state: key, certificate, the CAs to
 * trust, the URL to dial.  One file, so that one rename replaces all.
 *
 *	member_join(st, bundle, options, err)		once
 *	CLEANUP_MEMBER struct member m = MEMBER_INIT;
 *	if (member_load(st, &m, err)) ...
 *	if (member_renew_at(&m) <= clock_wall()) member_renew(st, &m, err)
 */
#ifndef FORGE_RUNNER_MEMBER_H
#define FORGE_RUNNER_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct ssl_ctx_st;
struct state;

struct member {
	char *id;
	char *url, *host; /* where to dial; its host */
	int port;
	char *ca; /* NULL: the system's CAs */
	char *cert, *key; /* the key is a secret */
	int64_t not_before, not_after; /* ms since 1970 */
	bool made_there; /* by a coordinator that takes no requests */
};
#define MEMBER_INIT ((struct member){ .id = NULL })
#define CLEANUP_MEMBER __attribute__((cleanup(member_release)))
void member_release(struct member *m);

struct member_options {
	const char *host; /* NULL: this host's name */
	int max_vms;
	bool force; /* also when this host has joined already */
};

/*
 * Join by a bundle: the key is made here and a request sent; a coordinator
 * that does not know that (kuiper-forge's) makes the key itself.  ERR_EXISTS,
 * ERR_INVALID (the bundle), ERR_AUTH (the token), ERR_NET.  *ret as loaded.
 */
int member_join(struct state *st, const char *bundle, size_t n,
	const struct member_options *o, struct member *ret, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_NOTFOUND says how to join. */
int member_load(struct state *st, struct member *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Wall ms when two thirds of the certificate's life are over. */
int64_t member_renew_at(const struct member *m);
/* The next certificate, for a new key; *m and the file become it. */
int member_renew(struct state *st, struct member *m, struct err *err)
	__attribute__((warn_unused_result));

/* For connections as this member; caller frees (tls_free()). */
int member_tls(const struct member *m, struct ssl_ctx_st **ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
