#include "lib/trust/ca_internal.h"

#include <string.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/trust/p256.h"
#include "lib/base/banned.h"

enum { SERIAL_BYTES = 16 };

/* 128 random bits; the first byte is not 0, so all are equally long. */
static int
set_serial(X509 *crt)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *n;
	int good;

	do
		random_bytes(bytes, sizeof(bytes));
	while (!bytes[0]);
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(crt));
	BN_free(n);
	return good;
}

static int
add_name(X509_NAME *name, const char *key, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, key, MBSTRING_UTF8,
		(const unsigned char *)value, -1, -1, 0);
}

static int
add_extension(X509 *crt, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	int good = e && X509_add_ext(crt, e, -1);

	X509_EXTENSION_free(e);
	return good;
}

static const struct {
	const char *basic, *usage, *extended;
} uses[] = {
	/* one below it: what the CA before certifies after a rotation */
	[USE_CA] = { "critical,CA:TRUE,pathlen:1",
		"critical,keyCertSign,cRLSign", NULL },
	[USE_INTERMEDIATE] = { "critical,CA:TRUE,pathlen:0",
		"critical,keyCertSign,cRLSign", NULL },
	[USE_CLIENT] = { "critical,CA:FALSE", "critical,digitalSignature",
		"clientAuth" },
	[USE_SERVER] = { "critical,CA:FALSE", "critical,digitalSignature",
		"serverAuth" },
};

static int
add_extensions(const struct cert_form *f, X509 *crt)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, f->issuer ? f->issuer : crt, crt, NULL, NULL, 0);
	return add_extension(crt, &ctx, NID_basic_constraints,
			uses[f->use].basic) &&
		add_extension(crt, &ctx, NID_key_usage, uses[f->use].usage) &&
		(!uses[f->use].extended ||
			add_extension(crt, &ctx, NID_ext_key_usage,
				uses[f->use].extended)) &&
		(!f->san || add_extension(crt, &ctx, NID_subject_alt_name,
			f->san)) &&
		add_extension(crt, &ctx, NID_subject_key_identifier, "hash") &&
		add_extension(crt, &ctx, NID_authority_key_identifier,
			"keyid:always");
}

static int
set_time(ASN1_TIME *t, int64_t ms)
{
	return ASN1_TIME_adj(t, (time_t)(ms / 1000), 0, 0) != NULL;
}

/* What an Ed25519 key signs has its digest built in. */
static const EVP_MD *
digest_for(EVP_PKEY *key)
{
	int id = EVP_PKEY_get_base_id(key);

	return id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448 ? NULL :
		EVP_sha256();
}

static int
fill(const struct cert_form *f, X509 *crt)
{
	X509_NAME *name = X509_get_subject_name(crt);

	return X509_set_version(crt, X509_VERSION_3) && set_serial(crt) &&
		add_name(name, "CN", f->name) && add_name(name, "O", f->org) &&
		X509_set_issuer_name(crt,
			f->issuer ? X509_get_subject_name(f->issuer) : name) &&
		set_time(X509_getm_notBefore(crt), f->not_before) &&
		set_time(X509_getm_notAfter(crt), f->not_after) &&
		(p256_certify(crt, f->key) || X509_set_pubkey(crt, f->key)) &&
		add_extensions(f, crt) &&
		X509_sign(crt, f->issuer_key, digest_for(f->issuer_key));
}

int
cert_build(const struct cert_form *f, X509 **ret, struct err *err)
{
	CLEANUP_X509 X509 *crt = X509_new();

	if (!crt || !fill(f, crt))
		return pem_failed(err, "cannot make a certificate for '%s'",
			f->name);
	ERR_clear_error();
	*ret = steal_ptr(&crt);
	return 0;
}
