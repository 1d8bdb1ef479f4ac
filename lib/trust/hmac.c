#include "lib/trust/hmac.h"

#include <stdint.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/base/banned.h"

int
hmac_sha256(const void *key, size_t nkey, const void *p, size_t n,
	unsigned char ret[HMAC_SIZE], struct err *err)
{
	unsigned int size = HMAC_SIZE;

	/* openssl.cnf has nothing for us, and reading it takes a while */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (nkey > INT32_MAX ||
		!HMAC(EVP_sha256(), key, (int)nkey, p, n, ret, &size))
		return err_set(err, ERR_SYS, "cannot compute an HMAC-SHA256");
	return 0;
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
