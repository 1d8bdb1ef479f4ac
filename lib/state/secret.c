#include "lib/state/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static const char key_file[] = "secret.key";

enum { KEY_SIZE = 32, IV_SIZE = 12, TAG_SIZE = 16, SECRET_MAX = 1 << 20 };

/* Sealed: version, IV, tag, then as many bytes as the secret has. */
enum { VERSION = 1, HEAD_SIZE = 1 + IV_SIZE + TAG_SIZE };

struct key {
	unsigned char bytes[KEY_SIZE];
};

static void
key_forget(struct key *k)
{
	OPENSSL_cleanse(k->bytes, sizeof(k->bytes));
}
#define CLEANUP_KEY __attribute__((cleanup(key_forget)))

static void
cleanup_cipher(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}
#define CLEANUP_CIPHER __attribute__((cleanup(cleanup_cipher)))

/* 1 read, 0 there is none, -1 error. */
static int
key_read(struct state *st, struct key *ret, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(state_dir(st), key_file,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	struct stat s;

	if (fd < 0)
		return errno == ENOENT ? 0 :
			err_sys(err, "cannot open '%s/%s'", state_path(st),
				key_file);
	if (fstat(fd, &s))
		return err_sys(err, "cannot stat '%s'", key_file);
	if (!S_ISREG(s.st_mode) || s.st_uid != geteuid() ||
		(s.st_mode & (S_IRWXG | S_IRWXO)))
		return err_set(err, ERR_SCHEMA,
			"'%s/%s' must be a file of ours with mode 0600",
			state_path(st), key_file);
	if (s.st_size != KEY_SIZE ||
		read(fd, ret->bytes, KEY_SIZE) != KEY_SIZE)
		return err_set(err, ERR_SCHEMA,
			"'%s/%s' is not a key of %d bytes: restore it from a "
			"backup", state_path(st), key_file, KEY_SIZE);
	return 1;
}

/*
 * link(2) and not rename: of two first users one must lose, and then read
 * what the other one made.
 */
static int
key_publish(struct state *st, const char *tmp, struct err *err)
{
	int dir = state_dir(st);
	int rc = linkat(dir, tmp, dir, key_file, 0);

	if (rc && errno != EEXIST)
		(void)err_sys(err, "cannot make '%s/%s'", state_path(st),
			key_file);
	else
		rc = 0;
	if (unlinkat(dir, tmp, 0) && !rc)
		rc = err_sys(err, "cannot remove '%s'", tmp);
	return rc ? -1 : fs_sync_dir(dir, ".", err);
}

static int
key_make(struct state *st, struct err *err)
{
	CLEANUP_FREE char *suffix = random_name(12);
	CLEANUP_FREE char *tmp = xasprintf(".secret-%s", suffix);
	CLEANUP_KEY struct key k;

	random_bytes(k.bytes, sizeof(k.bytes));
	/* Random name, so the replacing inside is never of another's file. */
	if (fs_replace(state_dir(st), tmp, k.bytes, sizeof(k.bytes), 0600,
		err))
		return -1;
	return key_publish(st, tmp, err);
}

static int
key_get(struct state *st, bool make, struct key *ret, struct err *err)
{
	int rc = key_read(st, ret, err);

	if (!rc && make) {
		if (key_make(st, err))
			return -1;
		rc = key_read(st, ret, err);
	}
	if (!rc)
		return err_set(err, ERR_SCHEMA,
			"'%s/%s' is missing: restore it from a backup",
			state_path(st), key_file);
	return rc < 0 ? -1 : 0;
}

static int
crypto_failed(struct err *err)
{
	return err_set(err, ERR_SYS, "AES-256-GCM failed in libcrypto");
}

/* out has room for HEAD_SIZE + n. */
static int
seal(const struct key *k, const char *name, const void *p, size_t n,
	unsigned char *out, struct err *err)
{
	CLEANUP_CIPHER EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *iv = out + 1, *tag = iv + IV_SIZE;
	int len;

	out[0] = VERSION;
	random_bytes(iv, IV_SIZE);
	if (!ctx ||
		!EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, k->bytes,
			iv) ||
		!EVP_EncryptUpdate(ctx, NULL, &len,
			(const unsigned char *)name, (int)strlen(name)) ||
		!EVP_EncryptUpdate(ctx, out + HEAD_SIZE, &len, p, (int)n) ||
		!EVP_EncryptFinal_ex(ctx, out + HEAD_SIZE + n, &len) ||
		!EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag))
		return crypto_failed(err);
	return 0;
}

/* out has room for n - HEAD_SIZE. */
static int
unseal(const struct key *k, const char *name, const unsigned char *in,
	size_t n, unsigned char *out, struct err *err)
{
	CLEANUP_CIPHER EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char tag[TAG_SIZE];
	int len;

	memcpy(tag, in + 1 + IV_SIZE, TAG_SIZE);
	if (!ctx ||
		!EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, k->bytes,
			in + 1) ||
		!EVP_DecryptUpdate(ctx, NULL, &len,
			(const unsigned char *)name, (int)strlen(name)) ||
		!EVP_DecryptUpdate(ctx, out, &len, in + HEAD_SIZE,
			(int)(n - HEAD_SIZE)) ||
		!EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag))
		return crypto_failed(err);
	if (EVP_DecryptFinal_ex(ctx, out + n - HEAD_SIZE, &len) <= 0)
		return err_set(err, ERR_SCHEMA,
			"secret '%s' does not open with '%s': it was damaged, "
			"moved, or sealed under another key", name, key_file);
	return 0;
}

int
secret_put(struct state *st, const char *name, const void *p, size_t n,
	int64_t expires_at, struct err *err)
{
	CLEANUP_FREE unsigned char *sealed = NULL;
	CLEANUP_KEY struct key k = { 0 };
	struct db *db;

	if (n > SECRET_MAX)
		return err_set(err, ERR_LIMIT,
			"secret '%s' is larger than %d bytes", name,
			SECRET_MAX);
	if (state_db(st, &db, err) || key_get(st, true, &k, err))
		return -1;
	sealed = xmalloc(HEAD_SIZE + n);
	if (seal(&k, name, p, n, sealed, err))
		return -1;
	return db_run(db,
		"INSERT INTO secret (name, sealed, expires_at)"
		" VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
		" sealed = excluded.sealed, expires_at = excluded.expires_at",
		NULL, err, DB_S(name), DB_B(sealed, HEAD_SIZE + n),
		DB_I(expires_at));
}

static int
open_row(struct state *st, const char *name, const struct db_rows *r,
	struct buf *ret, struct err *err)
{
	CLEANUP_KEY struct key k = { 0 };
	size_t n, before = ret->len;
	const unsigned char *in = db_blob(r, 0, &n);

	if (n < HEAD_SIZE || in[0] != VERSION || n > HEAD_SIZE + SECRET_MAX)
		return err_set(err, ERR_SCHEMA, "secret '%s' is damaged",
			name);
	if (key_get(st, false, &k, err))
		return -1;
	buf_grow(ret, n - HEAD_SIZE);
	if (unseal(&k, name, in, n, (unsigned char *)ret->s + before, err)) {
		OPENSSL_cleanse(ret->s + before, n - HEAD_SIZE);
		ret->s[before] = '\0';
		return -1;
	}
	ret->len += n - HEAD_SIZE;
	ret->s[ret->len] = '\0';
	return 0;
}

int
secret_get(struct state *st, const char *name, struct buf *ret,
	int64_t *ret_expires, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) ||
		db_query(db, &r,
			"SELECT sealed, expires_at FROM secret WHERE name = ?"
			" AND (expires_at = 0 OR expires_at > ?)",
			err, DB_S(name), DB_I(clock_wall())))
		return -1;
	rc = db_next(r, err);
	if (rc == 0)
		return err_set(err, ERR_NOTFOUND, "no secret '%s'", name);
	if (rc < 0 || open_row(st, name, r, ret, err))
		return -1;
	if (ret_expires)
		*ret_expires = db_int(r, 1);
	return 0;
}

int
secret_remove(struct state *st, const char *name, struct err *err)
{
	struct db *db;
	int changes;

	if (state_db(st, &db, err) ||
		db_run(db, "DELETE FROM secret WHERE name = ?", &changes, err,
			DB_S(name)))
		return -1;
	return changes ? 0 :
		err_set(err, ERR_NOTFOUND, "no secret '%s'", name);
}
