#include "lib/trust/csr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum { HOST_MAX = 24, RSA_MIN = 2048, RSA_MAX = 4096 };

static void
cleanup_bio(BIO **bio)
{
	(void)BIO_free(*bio);
}

/* PEM, or the DER in it, with nothing behind. */
static X509_REQ *
read_request(const char *text, size_t n)
{
	CLEANUP(cleanup_bio) BIO *bio = NULL;
	const unsigned char *der = (const unsigned char *)text;
	CLEANUP_REQ X509_REQ *req = NULL;

	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (n && text[0] == 0x30) {
		req = d2i_X509_REQ(NULL, &der, (long)n);
		if (req && der != (const unsigned char *)text + n)
			return NULL;
	} else if ((bio = BIO_new_mem_buf(text, (int)n))) {
		req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	}
	return steal_ptr(&req);
}

/* Named curves only: with parameters of its own a key could be anything. */
static bool
sound_curve(X509_REQ *req, EVP_PKEY *key)
{
	X509_ALGOR *alg;
	char group[32];
	int type;
	size_t n;

	if (!X509_PUBKEY_get0_param(NULL, NULL, NULL, &alg,
			X509_REQ_get_X509_PUBKEY(req)))
		return false;
	X509_ALGOR_get0(NULL, &type, NULL, alg);
	return type == V_ASN1_OBJECT &&
		EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
		(!strcmp(group, "prime256v1") || !strcmp(group, "secp384r1"));
}

static bool
sound_key(X509_REQ *req, EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_EC:
		return sound_curve(req, key);
	case EVP_PKEY_ED25519:
		return true;
	case EVP_PKEY_RSA:
		return bits >= RSA_MIN && bits <= RSA_MAX;
	default:
		return false;
	}
}

static bool
sound_signature(const X509_REQ *req)
{
	int md;

	if (!OBJ_find_sigid_algs(X509_REQ_get_signature_nid(req), &md, NULL))
		return false;
	return md == NID_sha256 || md == NID_sha384 || md == NID_sha512 ||
		md == NID_undef; /* Ed25519 */
}

static int
refuse(struct err *err, const char *why)
{
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "the certificate request %s", why);
}

static char *
common_name(const X509_REQ *req)
{
	char text[65] = "";

	(void)X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(req),
		NID_commonName, text, sizeof(text));
	ERR_clear_error();
	return xstrdup(text);
}

int
csr_parse(const char *text, size_t n, EVP_PKEY **ret_key, char **ret_name,
	struct err *err)
{
	CLEANUP_REQ X509_REQ *req = NULL;
	EVP_PKEY *key;

	if (n > CSR_MAX)
		return refuse(err, "is larger than 16 KiB");
	req = read_request(text, n);
	if (!req)
		return refuse(err, "is not one in PEM or DER form");
	key = X509_REQ_get0_pubkey(req);
	if (!key || !sound_key(req, key))
		return refuse(err, "needs a key of ECDSA P-256 or P-384, "
			"Ed25519, or RSA with 2048 to 4096 bits");
	if (!sound_signature(req))
		return refuse(err, "must be signed with SHA-256 or better");
	if (X509_REQ_verify(req, key) != 1)
		return refuse(err, "is not signed by its own key");
	ERR_clear_error();
	EVP_PKEY_up_ref(key);
	*ret_key = key;
	*ret_name = common_name(req);
	return 0;
}

int
csr_make(EVP_PKEY *key, const char *name, struct buf *ret, struct err *err)
{
	CLEANUP_REQ X509_REQ *req = X509_REQ_new();
	unsigned char *der = NULL;
	int n;

	if (!req || !X509_REQ_set_version(req, X509_REQ_VERSION_1) ||
		!X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req),
			"CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
			-1, 0) ||
		!X509_REQ_set_pubkey(req, key) ||
		!X509_REQ_sign(req, key, EVP_sha256()))
		return pem_failed(err, "cannot make a certificate request");
	n = i2d_X509_REQ(req, &der);
	if (n <= 0)
		return pem_failed(err, "cannot write a certificate request");
	pem_add(ret, "CERTIFICATE REQUEST", der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

char *
csr_host_name(const char *s)
{
	char out[HOST_MAX + 1];
	size_t n = 0;

	for (; *s && n < HOST_MAX; s++) {
		unsigned char c = (unsigned char)*s;

		if (isascii(c) && isalnum(c))
			out[n++] = (char)tolower(c);
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && out[n - 1] == '-')
		n--;
	return n ? xstrndup(out, n) : xstrdup("host");
}
