#include "lib/trust/p256.h"

#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>

#include "lib/base/banned.h"

enum { SCALAR = 32, POINT = 65 };
enum { SCALAR_AT = 36, POINT_AT = SCALAR_AT + SCALAR + 5 };

/*
 * RFC 5958 around RFC 5915: version 0, id-ecPublicKey with prime256v1, and in
 * an octet string: version 1, the scalar, the point.
 */
static const unsigned char head[SCALAR_AT] = { 0x30, 0x81, 0x87, 0x02, 0x01,
	0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
	0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
	0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
static const unsigned char middle[POINT_AT - SCALAR_AT - SCALAR] = { 0xa1,
	0x44, 0x03, 0x42, 0x00 };

_Static_assert(POINT_AT + POINT == P256_DER, "the parts make the whole");

/* The uncompressed point. */
static bool
point_of(EVP_PKEY *key, unsigned char ret[POINT])
{
	char group[32];
	size_t n;

	return EVP_PKEY_is_a(key, "EC") &&
		EVP_PKEY_get_group_name(key, group, sizeof(group), &n) &&
		!strcmp(group, SN_X9_62_prime256v1) &&
		EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
			ret, POINT, &n) &&
		n == POINT && ret[0] == POINT_CONVERSION_UNCOMPRESSED;
}

bool
p256_write(EVP_PKEY *key, unsigned char ret[P256_DER])
{
	BIGNUM *scalar = NULL;
	bool good;

	if (!point_of(key, ret + POINT_AT))
		return false;
	good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) &&
		BN_bn2binpad(scalar, ret + SCALAR_AT, SCALAR) == SCALAR;
	BN_clear_free(scalar);
	memcpy(ret, head, sizeof(head));
	memcpy(ret + SCALAR_AT + SCALAR, middle, sizeof(middle));
	return good;
}

static OSSL_PARAM *
params(const unsigned char *der, BIGNUM *scalar)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OSSL_PARAM *ret = NULL;

	if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME,
			 SN_X9_62_prime256v1, 0) &&
		OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, scalar) &&
		OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY,
			der + POINT_AT, POINT))
		ret = OSSL_PARAM_BLD_to_param(b);
	OSSL_PARAM_BLD_free(b);
	return ret;
}

EVP_PKEY *
p256_read(const unsigned char *der, size_t n)
{
	EVP_PKEY_CTX *ctx;
	OSSL_PARAM *values;
	EVP_PKEY *key = NULL;
	BIGNUM *scalar;

	if (n != P256_DER || memcmp(der, head, sizeof(head)) != 0 ||
		memcmp(der + SCALAR_AT + SCALAR, middle, sizeof(middle)) != 0)
		return NULL;
	scalar = BN_secure_new();
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	values = scalar && BN_bin2bn(der + SCALAR_AT, SCALAR, scalar) ?
		params(der, scalar) :
		NULL;
	if (ctx && values && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, values);
	OSSL_PARAM_free(values);
	EVP_PKEY_CTX_free(ctx);
	BN_clear_free(scalar);
	return key;
}

bool
p256_certify(X509 *crt, EVP_PKEY *key)
{
	unsigned char *point = OPENSSL_malloc(POINT);

	if (point && point_of(key, point) &&
		X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(crt),
			OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
			OBJ_nid2obj(NID_X9_62_prime256v1), point, POINT))
		return true;
	OPENSSL_free(point);
	return false;
}
