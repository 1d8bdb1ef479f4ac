/*
 * tls: OpenSSL contexts for both ends: TLS 1.3 only, ALPN h2, no tickets.
 *
 *	struct tls_pem pem = { .ca = ca, .cert = cert, .key = key };
 *	struct ssl_ctx_st *ctx;
 *	if (tls_server(&pem, &ctx, err)) ...
 *	tls_free(ctx);				connections keep their own
 *
 * A server lets every client finish its handshake, with a certificate or
 * without: a refusal inside TLS reaches a client as "connection lost", and
 * one that has expired should be told so.  Who asks who it talks to gets the
 * verdict: tls_peer().
 */
#ifndef FORGE_NET_TLS_H
#define FORGE_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

struct ssl_ctx_st;
struct ssl_st;

/* Text in PEM form; borrowed. */
struct tls_pem {
	const char *ca; /* certificates to trust; client: NULL: the system's */
	const char *cert; /* leaf, then intermediates; client: or NULL */
	const char *key; /* of the leaf */
	const char *crl; /* or NULL; one that has expired still counts */
};

enum tls_peer_kind {
	TLS_PEER_NONE, /* it showed no certificate */
	TLS_PEER_BAD, /* it did, and it does not hold: see why */
	TLS_PEER_GOOD,
};

struct tls_peer {
	enum tls_peer_kind kind;
	const char *why; /* "certificate has expired"; static */
	char name[65]; /* the common name, printable ASCII */
	char serial[65]; /* hexadecimal, lower case */
	char fingerprint[65]; /* SHA-256 of the certificate, likewise */
	int64_t expires_at; /* wall ms */
};

int tls_server(const struct tls_pem *pem, struct ssl_ctx_st **ret,
	struct err *err) __attribute__((warn_unused_result));
int tls_client(const struct tls_pem *pem, struct ssl_ctx_st **ret,
	struct err *err) __attribute__((warn_unused_result));
void tls_free(struct ssl_ctx_st *ctx);

/* A connection's end; a client checks that the server is host (a name or an
 * address).  NULL when memory is out or host is no name. */
struct ssl_st *tls_accept(struct ssl_ctx_st *ctx, int fd);
struct ssl_st *tls_connect(struct ssl_ctx_st *ctx, int fd, const char *host);
/* After the handshake. */
void tls_peer(struct ssl_st *ssl, struct tls_peer *ret);
/* Did both agree on HTTP/2? */
bool tls_is_h2(struct ssl_st *ssl);
/* Why the last call of OpenSSL failed, as one line in err. */
int tls_error(struct err *err, const char *what);

#endif
