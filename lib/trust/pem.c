#include "lib/trust/pem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "lib/base/mem.h"
#include "lib/trust/base64.h"
#include "lib/trust/p256.h"
#include "lib/base/banned.h"

enum { LINE = 48 }; /* bytes of DER in a line of PEM */

void
cleanup_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

void
cleanup_x509(X509 **crt)
{
	X509_free(*crt);
}

void
cleanup_req(X509_REQ **req)
{
	X509_REQ_free(*req);
}

void
cleanup_crl(X509_CRL **crl)
{
	X509_CRL_free(*crl);
}

void
cleanup_secret(struct buf *b)
{
	if (b->alloc)
		OPENSSL_cleanse(b->s, b->alloc);
	buf_release(b);
}

static void
cleanup_bio(BIO **bio)
{
	(void)BIO_free(*bio);
}

/*
 * The first that is called of OpenSSL says how it starts: without reading
 * openssl.cnf, which costs a millisecond and could load anything; and with
 * random numbers of the generator that needs no cipher, since the first
 * cipher sets up all of them.  What it has is not freed at the end, either.
 */
static void
start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	(void)OPENSSL_init_crypto(
		OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
	if (!RAND_set_DRBG_type(NULL, "HASH-DRBG", NULL, NULL, "SHA256"))
		ERR_clear_error(); /* another program's part was first */
}

void
pem_do_failed(struct err *err, const char *fmt, ...)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	CLEANUP_FREE char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	(void)err_set(err, ERR_INVALID, "%s: %s", what,
		why ? why : "OpenSSL refused");
	ERR_clear_error();
}

int
pem_make_key(EVP_PKEY **ret, struct err *err)
{
	start();
	*ret = EVP_EC_gen("P-256");
	return *ret ? 0 : pem_failed(err, "cannot make a key");
}

/* Instead of OpenSSL's own, which would ask at the terminal. */
static int
no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* One that p256_write() wrote, and that is the first thing in the text. */
static EVP_PKEY *
own_key(BIO *bio)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	EVP_PKEY *key = NULL;
	long n = 0;

	if (PEM_read_bio(bio, &name, &header, &der, &n) &&
		!strcmp(name, PEM_STRING_PKCS8INF) && !*header)
		key = p256_read(der, (size_t)n);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(der, (size_t)n);
	return key;
}

int
pem_key(const char *text, size_t n, const char *what, EVP_PKEY **ret,
	struct err *err)
{
	CLEANUP(cleanup_bio) BIO *bio = NULL;
	EVP_PKEY *key = NULL;

	start();
	if (n <= PEM_MAX)
		bio = BIO_new_mem_buf(text, (int)n);
	if (bio)
		key = own_key(bio);
	if (bio && !key && BIO_reset(bio) == 1)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (!key)
		return err_set(err, ERR_INVALID,
			"%s has no private key in PEM form without passphrase",
			what);
	*ret = key;
	return 0;
}

int
pem_cert(const char *text, size_t n, const char *what, X509 **ret,
	struct err *err)
{
	CLEANUP(cleanup_bio) BIO *bio = NULL;
	X509 *crt = NULL;
	bool none;

	start();
	if (n <= PEM_MAX)
		bio = BIO_new_mem_buf(text, (int)n);
	if (bio)
		crt = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (!crt)
		return err_set(err, none ? ERR_NOTFOUND : ERR_INVALID,
			"%s has no certificate in PEM form", what);
	*ret = crt;
	return 0;
}

void
pem_add(struct buf *out, const char *what, const void *der, size_t n)
{
	const unsigned char *p = der;

	buf_addf(out, "-----BEGIN %s-----\n", what);
	for (; n > LINE; p += LINE, n -= LINE) {
		base64_add(out, p, LINE);
		buf_addc(out, '\n');
	}
	base64_add(out, p, n);
	buf_addf(out, "\n-----END %s-----\n", what);
}

int
pem_add_key(struct buf *out, EVP_PKEY *key, struct err *err)
{
	PKCS8_PRIV_KEY_INFO *info;
	unsigned char own[P256_DER], *der = NULL;
	bool is_own = p256_write(key, own);
	int n;

	if (is_own)
		pem_add(out, "PRIVATE KEY", own, sizeof(own));
	OPENSSL_cleanse(own, sizeof(own));
	if (is_own)
		return 0;
	info = EVP_PKEY2PKCS8(key);
	n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	PKCS8_PRIV_KEY_INFO_free(info);
	if (n <= 0)
		return pem_failed(err, "cannot write a key");
	pem_add(out, "PRIVATE KEY", der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}

int
pem_add_cert(struct buf *out, X509 *crt, struct err *err)
{
	unsigned char *der = NULL;
	int n = i2d_X509(crt, &der);

	if (n <= 0)
		return pem_failed(err, "cannot write a certificate");
	pem_add(out, "CERTIFICATE", der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

int
pem_serial(X509 *crt, char ret[SERIAL_SIZE], struct err *err)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(crt);
	CLEANUP_BUF struct buf hex = BUF_INIT;
	int n = ASN1_STRING_length(serial);

	if (n < 1 || n > 20)
		return err_set(err, ERR_INVALID,
			"a serial number of %d bytes", n);
	buf_addhex(&hex, ASN1_STRING_get0_data(serial), (size_t)n);
	memcpy(ret, hex.s, hex.len + 1);
	return 0;
}

int
pem_fingerprint(X509 *crt, char ret[FINGERPRINT_SIZE], struct err *err)
{
	CLEANUP_BUF struct buf hex = BUF_INIT;
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n;

	if (!X509_digest(crt, EVP_sha256(), md, &n) ||
		2 * n + 1 != FINGERPRINT_SIZE)
		return pem_failed(err, "cannot digest a certificate");
	buf_addhex(&hex, md, n);
	memcpy(ret, hex.s, FINGERPRINT_SIZE);
	return 0;
}

int64_t
pem_time(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

char *
pem_name(X509 *crt)
{
	char text[65] = "";

	(void)X509_NAME_get_text_by_NID(X509_get_subject_name(crt),
		NID_commonName, text, sizeof(text));
	ERR_clear_error();
	return xstrdup(text);
}
