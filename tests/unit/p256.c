/* Keys without OpenSSL's encoders are the same as with them. */
#include "lib/trust/p256.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "lib/base/mem.h"
#include "lib/trust/pem.h"
#include "tests/unit/tap.h"

static void
test_same(void)
{
	CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned char own[P256_DER], *der = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	ok(p256_write(key, own), "a P-256 key is written");
	ok(n == P256_DER && !memcmp(own, der, P256_DER),
		"as OpenSSL writes it");
	PKCS8_PRIV_KEY_INFO_free(info);
	OPENSSL_free(der);
}

static void
test_read(void)
{
	CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256"), *again = NULL;
	unsigned char der[P256_DER];
	size_t i;
	int taken = 0;

	if (!ok(p256_write(key, der), "a key"))
		return;
	again = p256_read(der, sizeof(der));
	ok(again && EVP_PKEY_eq(key, again) == 1, "is read again");
	ok(!p256_read(der, sizeof(der) - 1), "not a part of it");
	/* Whatever byte is damaged: nothing worse than another key. */
	for (i = 0; i < sizeof(der); i++) {
		CLEANUP_PKEY EVP_PKEY *bad = NULL;

		der[i] ^= 0x20;
		bad = p256_read(der, sizeof(der));
		taken += bad && (i < 36 || (i >= 68 && i < 73));
		der[i] ^= 0x20;
	}
	is_int(taken, 0, "and not another structure");
}

/* ret: what to certify, as OpenSSL writes it. */
static int
spki(EVP_PKEY *key, bool own, unsigned char **ret)
{
	CLEANUP_X509 X509 *crt = X509_new();

	if (own ? !p256_certify(crt, key) : !X509_set_pubkey(crt, key))
		return -1;
	return i2d_X509_PUBKEY(X509_get_X509_PUBKEY(crt), ret);
}

static void
test_certify(void)
{
	CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned char *own = NULL, *theirs = NULL;
	int n = spki(key, true, &own), m = spki(key, false, &theirs);

	ok(n > 0 && n == m && !memcmp(own, theirs, (size_t)n),
		"the public half in a certificate is the same");
	OPENSSL_free(own);
	OPENSSL_free(theirs);
}

static void
test_declined(void)
{
	EVP_PKEY *keys[] = { EVP_EC_gen("P-384"), EVP_RSA_gen(2048),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		CLEANUP_BUF struct buf text = BUF_INIT;
		CLEANUP_PKEY EVP_PKEY *again = NULL;
		unsigned char der[P256_DER], *out = NULL;
		struct err err = ERR_INIT;

		ok(!p256_write(keys[i], der) &&
			spki(keys[i], true, &out) == -1,
			"a key of another kind is declined");
		ok(!pem_add_key(&text, keys[i], &err) &&
			!pem_key(text.s, text.len, "it", &again, &err) &&
			EVP_PKEY_eq(keys[i], again) == 1,
			"and written and read by OpenSSL");
		EVP_PKEY_free(keys[i]);
	}
}

int
main(void)
{
	test_same();
	test_read();
	test_certify();
	test_declined();
	return done();
}
