#include "lib/trust/jwt.h"

#include <stdlib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/trust/base64.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static void
test_base64(void)
{
	/* RFC 4648, section 10: of the first i bytes of "foobar" */
	static const char *const texts[] = { "", "Zg==", "Zm8=", "Zm9v",
		"Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	CLEANUP_BUF struct buf b = BUF_INIT;
	char big[10000];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		buf_reset(&b);
		base64_add(&b, "foobar", i);
		is_str(b.s, texts[i], "base64");
	}
	buf_reset(&b);
	buf_adds(&b, "=+/");
	base64url_add(&b, "\xfb\xff\xfe\xff", 4);
	is_str(b.s, "=+/-__-_w", "base64url adds, without padding");
	memset(big, 'M', sizeof(big));
	buf_reset(&b);
	base64_add(&b, big, sizeof(big));
	is_int((int64_t)b.len, 13336, "length of more than one piece");
	is_int((int64_t)strspn(b.s, "TU1N"), 13333, "without a seam");
}

static EVP_PKEY *
make_key(const char *path, EVP_PKEY *key, const char *pass)
{
	FILE *f = fopen(path, "we");

	if (!key || !f || !PEM_write_PrivateKey(f, key,
			pass ? EVP_aes_128_cbc() : NULL, (const void *)pass,
			pass ? (int)strlen(pass) : 0, NULL, NULL) ||
		fclose(f)) {
		printf("Bail out! no key\n");
		exit(1);
	}
	return key;
}

/* Bytes of base64url text, by OpenSSL's decoder of the other alphabet. */
static size_t
decode(const char *s, size_t n, unsigned char *out, size_t size)
{
	CLEANUP_FREE char *text = xcalloc(n + 5, 1);
	size_t i, pad = (4 - n % 4) % 4;
	int got;

	if (n + pad > size)
		return 0;
	for (i = 0; i < n + pad; i++)
		text[i] = i >= n ? '=' : s[i] == '-' ? '+' :
			s[i] == '_' ? '/' : s[i];
	got = EVP_DecodeBlock(out, (unsigned char *)text, (int)(n + pad));
	return got < 0 ? 0 : (size_t)got - pad;
}

static bool
verified(EVP_PKEY *key, const char *jwt)
{
	const char *dot = strrchr(jwt, '.');
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[1024];
	size_t n = decode(dot + 1, strlen(dot + 1), sig, sizeof(sig));
	bool good;

	good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL,
			key) == 1 &&
		EVP_DigestVerify(ctx, sig, n, (const unsigned char *)jwt,
			(size_t)(dot - jwt)) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

static void
test_jwt(void)
{
	EVP_PKEY *key = make_key("app.pem", EVP_RSA_gen(2048), NULL);
	EVP_PKEY *other = EVP_RSA_gen(2048);
	CLEANUP_FREE char *jwt = NULL, *text = NULL;
	CLEANUP_JSON struct json *claims = NULL;
	unsigned char part[1024];
	struct err err = ERR_INIT;
	char *first, *second;
	size_t n;

	if (!ok(!jwt_app("app.pem", "Iv1.abc", 1700000000999, &jwt, &err),
		"made"))
		exit(1);
	ok(verified(key, jwt), "the public key verifies it");
	ok(!verified(other, jwt), "another does not");
	text = xstrdup(jwt);
	first = strchr(text, '.');
	second = strrchr(text, '.');
	n = decode(text, (size_t)(first - text), part, sizeof(part) - 1);
	part[n] = 0;
	is_str((char *)part, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", "header");
	n = decode(first + 1, (size_t)(second - first - 1), part,
		sizeof(part));
	ok(!json_parse((char *)part, n, &claims, &err), "claims are JSON");
	is_int(json_int(claims, "iat", 0), 1699999940, "iat");
	is_int(json_int(claims, "exp", 0), 1700000540, "exp");
	is_str(json_str(claims, "iss", NULL), "Iv1.abc", "iss");
	is_int((int64_t)json_len(claims, ""), 3, "and no more");
	text[5] ^= 1;
	ok(!verified(key, text), "a changed one is not verified");
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void
refused(const char *path, enum err_code code, const char *what)
{
	struct err err = ERR_INIT;
	char *jwt = NULL;

	ok(jwt_app(path, "1", 0, &jwt, &err) == -1 && err.code == code &&
		!jwt && strstr(err.msg, path), what);
	printf("# %s\n", err.msg);
}

static void
test_keys(void)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);

	EVP_PKEY_free(make_key("ec.pem", EVP_EC_gen("P-256"), NULL));
	EVP_PKEY_free(make_key("pass.pem", rsa, "secret"));
	tmp_write("text.pem", "-----BEGIN RSA PRIVATE KEY-----\nTm8=\n"
		"-----END RSA PRIVATE KEY-----\n");
	tmp_write("empty.pem", "");
	refused("absent.pem", ERR_NOTFOUND, "no key");
	refused("ec.pem", ERR_INVALID, "another kind of key");
	refused("pass.pem", ERR_INVALID, "a key with passphrase");
	refused("text.pem", ERR_INVALID, "text instead of a key");
	refused("empty.pem", ERR_INVALID, "an empty file");
}

int
main(void)
{
	tmp_enter();
	test_base64();
	test_jwt();
	test_keys();
	tmp_leave();
	return done();
}
