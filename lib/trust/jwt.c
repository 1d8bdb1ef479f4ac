#include "lib/trust/jwt.h"

#include <fcntl.h>
#include <string.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

#define KEY_FILE_MAX (64 * 1024)
#define BEFORE 60 /* seconds */
#define AFTER (9 * 60)

static void
cleanup_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void
cleanup_md(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static void
cleanup_bio(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void
wipe(struct buf *b)
{
	explicit_bzero(b->s, b->len);
	buf_release(b);
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

static EVP_PKEY *
parse_key(const struct buf *pem)
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new_mem_buf(pem->s, (int)pem->len);
	EVP_PKEY *key = NULL;

	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	return key;
}

static int
read_key(const char *path, EVP_PKEY **ret, struct err *err)
{
	CLEANUP(wipe) struct buf pem = BUF_INIT;
	CLEANUP(cleanup_key) EVP_PKEY *key = NULL;

	if (fs_read(AT_FDCWD, path, KEY_FILE_MAX, &pem, err))
		return -1;
	key = parse_key(&pem);
	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		return err_set(err, ERR_INVALID,
			"'%s' is not an RSA private key in PEM form without "
			"passphrase", path);
	*ret = steal_ptr(&key);
	return 0;
}

static void
add_part(struct buf *out, struct json *o)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	json_write(o, &text);
	json_free(o);
	base64url_add(out, text.s, text.len);
}

static void
add_claims(struct buf *out, const char *issuer, int64_t now)
{
	struct json *head = json_object(), *claims = json_object();

	json_put_str(head, "alg", "RS256");
	json_put_str(head, "typ", "JWT");
	add_part(out, head);
	buf_addc(out, '.');
	json_put_int(claims, "iat", now - BEFORE);
	json_put_int(claims, "exp", now + AFTER);
	json_put_str(claims, "iss", issuer);
	add_part(out, claims);
}

static int
add_signature(struct buf *out, EVP_PKEY *key, struct err *err)
{
	CLEANUP(cleanup_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	CLEANUP_FREE unsigned char *sig = NULL;
	const unsigned char *in = (const unsigned char *)out->s;
	size_t n = 0;

	if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) <=
			0 || EVP_DigestSign(ctx, NULL, &n, in, out->len) <= 0)
		goto failed;
	sig = xmalloc(n);
	if (EVP_DigestSign(ctx, sig, &n, in, out->len) <= 0)
		goto failed;
	buf_addc(out, '.');
	base64url_add(out, sig, n);
	return 0;
failed:
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "the key cannot sign");
}

int
jwt_app(const char *key_file, const char *issuer, int64_t now, char **ret,
	struct err *err)
{
	CLEANUP(cleanup_key) EVP_PKEY *key = NULL;
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (read_key(key_file, &key, err))
		return -1;
	add_claims(&b, issuer, now / 1000);
	if (add_signature(&b, key, err))
		return err_wrap(err, "key '%s'", key_file);
	*ret = buf_detach(&b);
	return 0;
}
