#include "lib/net/tls.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define VERIFY_DEPTH 3
#define CERT_LIST_MAX 32768

static const unsigned char alpn_h2[] = { 2, 'h', '2' };

int
tls_error(struct err *err, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(err, ERR_NET, "%s: %s", what,
		why ? why : "the connection was lost");
}

/* ---- PEM ---- */

static BIO *
text_bio(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);

	if (!bio)
		abort(); /* no memory, as xmalloc() */
	return bio;
}

/* Each certificate of text to use(); the number of them, -1 on failure. */
static int
each_cert(const char *text, int (*use)(SSL_CTX *, X509 *, int n),
	SSL_CTX *ctx)
{
	BIO *bio = text_bio(text);
	int n = 0, ok = 1;
	X509 *x;

	while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		ok = use(ctx, x, n++);
		X509_free(x);
	}
	BIO_free(bio);
	if (n && ok)
		ERR_clear_error(); /* "no start line" at the end */
	return ok && n ? n : -1;
}

static int
use_own(SSL_CTX *ctx, X509 *x, int n)
{
	return n ? SSL_CTX_add1_chain_cert(ctx, x) == 1 :
		   SSL_CTX_use_certificate(ctx, x) == 1;
}

static int
use_trusted(SSL_CTX *ctx, X509 *x, int n)
{
	(void)n;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1;
}

static int
use_asked(SSL_CTX *ctx, X509 *x, int n)
{
	(void)n;
	return SSL_CTX_add_client_CA(ctx, x) == 1;
}

static int
use_key(SSL_CTX *ctx, const char *text, struct err *err)
{
	BIO *bio = text_bio(text);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	int ok;

	BIO_free(bio);
	if (!key)
		return tls_error(err, "cannot read the private key");
	ok = SSL_CTX_use_PrivateKey(ctx, key);
	EVP_PKEY_free(key);
	return ok ? 0 : tls_error(err, "the key is not the certificate's");
}

static int
use_crls(SSL_CTX *ctx, const char *text, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = text_bio(text);
	int n = 0, ok = 1;
	X509_CRL *crl;

	while (ok && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		ok = X509_STORE_add_crl(store, crl);
		X509_CRL_free(crl);
		n++;
	}
	BIO_free(bio);
	if (!ok || !n)
		return tls_error(err, "cannot read the revocation list");
	ERR_clear_error();
	(void)X509_STORE_set_flags(store,
		X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

/* ---- verification ---- */

/* The first error of a chain is kept with its SSL. */
static int
verify_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

/*
 * Go on, whatever is wrong, and remember it.  Only what somebody revoked is
 * in the list, so an old list is better than to refuse everybody.
 */
static int
remember(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store,
		SSL_get_ex_data_X509_STORE_CTX_idx());
	int error = X509_STORE_CTX_get_error(store);

	if (ok || error == X509_V_ERR_CRL_HAS_EXPIRED ||
		error == X509_V_ERR_UNABLE_TO_GET_CRL ||
		error == X509_V_ERR_CRL_NOT_YET_VALID)
		return 1;
	if (!SSL_get_ex_data(ssl, verify_index()))
		(void)SSL_set_ex_data(ssl, verify_index(),
			(void *)(intptr_t)error);
	return 1;
}

static int
select_h2(SSL *ssl, const unsigned char **out, unsigned char *n,
	const unsigned char *in, unsigned in_n, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, n, alpn_h2, sizeof(alpn_h2), in,
		    in_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION))
		abort(); /* no memory, or an OpenSSL without TLS 1.3 */
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* The chain is in the file: none is sought for each connection. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify_depth(ctx, VERIFY_DEPTH);
	SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
	return ctx;
}

static int
load(SSL_CTX *ctx, const struct tls_pem *pem, struct err *err)
{
	if (pem->cert && each_cert(pem->cert, use_own, ctx) < 0)
		return tls_error(err, "cannot read the certificate");
	if (pem->cert && use_key(ctx, pem->key, err))
		return -1;
	if (pem->ca && each_cert(pem->ca, use_trusted, ctx) < 0)
		return tls_error(err, "cannot read the CA's certificate");
	return pem->crl ? use_crls(ctx, pem->crl, err) : 0;
}

int
tls_server(const struct tls_pem *pem, struct ssl_ctx_st **ret,
	struct err *err)
{
	SSL_CTX *ctx = context(TLS_server_method());

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, remember);
	SSL_CTX_set_alpn_select_cb(ctx, select_h2, NULL);
	if (load(ctx, pem, err)) {
		SSL_CTX_free(ctx);
		return -1;
	}
	if (each_cert(pem->ca, use_asked, ctx) < 0) {
		SSL_CTX_free(ctx);
		return tls_error(err, "cannot read the CA's certificate");
	}
	*ret = ctx;
	return 0;
}

int
tls_client(const struct tls_pem *pem, struct ssl_ctx_st **ret,
	struct err *err)
{
	SSL_CTX *ctx = context(TLS_client_method());

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!pem->ca)
		(void)SSL_CTX_set_default_verify_paths(ctx);
	/* 0 is success here. */
	if (SSL_CTX_set_alpn_protos(ctx, alpn_h2, sizeof(alpn_h2)))
		abort(); /* no memory */
	if (load(ctx, pem, err)) {
		SSL_CTX_free(ctx);
		return -1;
	}
	*ret = ctx;
	return 0;
}

void
tls_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

/* ---- connections ---- */

struct ssl_st *
tls_accept(struct ssl_ctx_st *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl || !SSL_set_fd(ssl, fd)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

struct ssl_st *
tls_connect(struct ssl_ctx_st *ctx, int fd, const char *host)
{
	unsigned char address[16];
	SSL *ssl = SSL_new(ctx);
	int ok;

	if (!ssl)
		return NULL;
	ok = SSL_set_fd(ssl, fd);
	if (inet_pton(AF_INET, host, address) == 1 ||
		inet_pton(AF_INET6, host, address) == 1)
		ok = ok && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
				   host);
	else
		ok = ok && SSL_set1_host(ssl, host) &&
			SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
				TLSEXT_NAMETYPE_host_name,
				(void *)(uintptr_t)host);
	if (!ok) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

bool
tls_is_h2(struct ssl_st *ssl)
{
	const unsigned char *name;
	unsigned n;

	SSL_get0_alpn_selected(ssl, &name, &n);
	return n == 2 && !memcmp(name, "h2", 2);
}

static void
put_hex(char *ret, size_t size, const unsigned char *p, size_t n)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	buf_addhex(&b, p, n);
	snprintf(ret, size, "%s", b.s);
}

/* Exactly one common name, of printable ASCII. */
static bool
common_name(X509 *x, char *ret, size_t size)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int i, at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *s;
	const unsigned char *p;

	if (at < 0 ||
		X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return false;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	p = ASN1_STRING_get0_data(s);
	if (ASN1_STRING_length(s) < 1 ||
		(size_t)ASN1_STRING_length(s) >= size)
		return false;
	for (i = 0; i < ASN1_STRING_length(s); i++) {
		if (p[i] <= ' ' || p[i] > '~')
			return false;
		ret[i] = (char)p[i];
	}
	ret[i] = '\0';
	return true;
}

static int64_t
expiry(X509 *x)
{
	struct tm tm = { 0 };

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

static void
describe(X509 *x, struct tls_peer *ret)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	put_hex(ret->serial, sizeof(ret->serial),
		ASN1_STRING_get0_data(serial),
		(size_t)ASN1_STRING_length(serial));
	if (X509_digest(x, EVP_sha256(), digest, &n))
		put_hex(ret->fingerprint, sizeof(ret->fingerprint), digest, n);
	ret->expires_at = expiry(x);
	if (common_name(x, ret->name, sizeof(ret->name)))
		return;
	ret->kind = TLS_PEER_BAD;
	ret->why = "its subject has no usable common name";
}

void
tls_peer(struct ssl_st *ssl, struct tls_peer *ret)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	long error = (long)(intptr_t)SSL_get_ex_data(ssl, verify_index());

	*ret = (struct tls_peer){ .kind = TLS_PEER_NONE };
	if (!x)
		return;
	ret->kind = error ? TLS_PEER_BAD : TLS_PEER_GOOD;
	if (error)
		ret->why = X509_verify_cert_error_string(error);
	describe(x, ret);
}
