#include "lib/trust/hmac.h"

/*
 * SHA256_* is said to be deprecated. What replaces it sets up providers
 * first, which costs a program that signs once more than everything else it
 * does, and would put all of libcrypto into a static one.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <stdint.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "lib/base/banned.h"

enum { BLOCK = 64 };
_Static_assert((int)HMAC_SIZE == SHA256_DIGEST_LENGTH, "SHA-256");

/* SHA256(pad block | p) */
static bool
half(const unsigned char key[BLOCK], unsigned char pad, const void *p,
	size_t n, unsigned char ret[HMAC_SIZE])
{
	unsigned char block[BLOCK];
	SHA256_CTX c;
	size_t i;
	bool ok;

	for (i = 0; i < BLOCK; i++)
		block[i] = key[i] ^ pad;
	ok = SHA256_Init(&c) && SHA256_Update(&c, block, BLOCK) &&
		SHA256_Update(&c, p, n) && SHA256_Final(ret, &c);
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&c, sizeof(c));
	return ok;
}

/* RFC 2104 */
int
hmac_sha256(const void *key, size_t nkey, const void *p, size_t n,
	unsigned char ret[HMAC_SIZE], struct err *err)
{
	unsigned char block[BLOCK] = { 0 }, inner[HMAC_SIZE];
	SHA256_CTX c;
	bool ok = true;

	if (nkey > BLOCK)
		ok = SHA256_Init(&c) && SHA256_Update(&c, key, nkey) &&
			SHA256_Final(block, &c);
	else if (nkey)
		memcpy(block, key, nkey);
	ok = ok && half(block, 0x36, p, n, inner) &&
		half(block, 0x5c, inner, sizeof(inner), ret);
	OPENSSL_cleanse(block, sizeof(block));
	return ok ? 0 : err_set(err, ERR_SYS,
		"cannot compute an HMAC-SHA256");
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
hmac_parse(const char *text, unsigned char ret[HMAC_SIZE])
{
	static const char prefix[] = "sha256=";
	unsigned char out[HMAC_SIZE];
	size_t i;

	if (strncmp(text, prefix, strlen(prefix)) != 0)
		return false;
	text += strlen(prefix);
	if (strlen(text) != 2 * sizeof(out))
		return false;
	for (i = 0; i < sizeof(out); i++) {
		int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (unsigned char)(hi << 4 | lo);
	}
	memcpy(ret, out, sizeof(out));
	return true;
}

bool
hmac_equal(const unsigned char a[HMAC_SIZE], const unsigned char b[HMAC_SIZE])
{
	return CRYPTO_memcmp(a, b, HMAC_SIZE) == 0;
}
