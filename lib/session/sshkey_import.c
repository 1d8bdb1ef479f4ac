#include "lib/session/sshkey_internal.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/memfile.h"
#include "lib/base/banned.h"

enum { KEYGEN_MS = 60000, PASSPHRASE_MAX = 1023 };

/* A key being read, and what is known of its passphrase. */
struct import {
	int (*ask)(void *arg, struct buf *ret, struct err *err);
	void *arg;
	struct buf passphrase;
	bool asked;
	bool failed; /* to ask */
	struct err *err;
};

int
sshkey_from_evp(EVP_PKEY *key, const char *comment, struct sshkey *ret,
	struct err *err)
{
	unsigned char seed[ED25519_SIZE], pub[ED25519_SIZE];
	size_t n = sizeof(seed), m = sizeof(pub);

	if (!EVP_PKEY_get_raw_private_key(key, seed, &n) ||
		!EVP_PKEY_get_raw_public_key(key, pub, &m) ||
		n != sizeof(seed) || m != sizeof(pub))
		return err_set(err, ERR_SYS,
			"libcrypto does not give the bytes of a key");
	sshkey_from_raw(seed, pub, comment, ret);
	OPENSSL_cleanse(seed, sizeof(seed));
	return 0;
}

static int
ask(struct import *im)
{
	if (im->asked)
		return im->failed ? -1 : 0;
	im->asked = true;
	im->failed = im->ask(im->arg, &im->passphrase, im->err) != 0;
	if (!im->failed && im->passphrase.len > PASSPHRASE_MAX) {
		im->failed = true;
		(void)err_set(im->err, ERR_USAGE,
			"a passphrase has at most %d bytes", PASSPHRASE_MAX);
	}
	return im->failed ? -1 : 0;
}

/* What libcrypto calls for an encrypted PEM. */
static int
give_passphrase(char *into, int size, int writing, void *import)
{
	struct import *im = import;

	(void)writing;
	if (ask(im) || im->passphrase.len > (size_t)size)
		return -1;
	memcpy(into, im->passphrase.s, im->passphrase.len);
	return (int)im->passphrase.len;
}

static int
wrong_passphrase(struct err *err)
{
	return err_set(err, ERR_INVALID, "that is not the key's passphrase");
}

/* 1 it was an Ed25519 key in PEM, 0 it is something else, -1 error. */
static int
from_pem(struct import *im, const struct buf *text, struct sshkey *ret)
{
	BIO *bio = BIO_new_mem_buf(text->s, (int)text->len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL,
		give_passphrase, im) : NULL;
	int rc = 0;

	if (key && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519)
		rc = sshkey_from_evp(key, "", ret, im->err) ? -1 : 1;
	else if (im->failed)
		rc = -1;
	else if (!key && im->asked)
		rc = wrong_passphrase(im->err);
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

/* ssh-keygen VERB... -f FILE, with the passphrase as what is typed. */
static int
keygen(const struct memfile *f, const char *const *words,
	const struct buf *typed, struct buf *out, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	argv_push(&p.argv, "ssh-keygen");
	argv_pushv(&p.argv, words);
	argv_push(&p.argv, "-f");
	argv_push(&p.argv, f->path);
	argv_push(&p.env, "LC_ALL=C");
	argv_push(&p.env, "SSH_ASKPASS_REQUIRE=never");
	argv_push(&p.env, "SSH_ASKPASS");
	argv_push(&p.env, "DISPLAY");
	/* Without a terminal it reads the passphrase from stdin. */
	p.new_session = true;
	return proc_run(&p, typed, out, SSHKEY_MAX, KEYGEN_MS, err);
}

static int
public_line(const struct memfile *f, struct buf *ret, struct err *err)
{
	static const char *const words[] = { "-y", "-P", "", NULL };

	return keygen(f, words, NULL, ret, err);
}

static int
decrypt(struct import *im, const struct memfile *f)
{
	static const char *const words[] = { "-p", "-N", "", NULL };
	CLEANUP_SECRET struct buf typed = BUF_INIT;

	if (ask(im))
		return -1;
	buf_grow(&typed, im->passphrase.len + 1);
	buf_add(&typed, im->passphrase.s, im->passphrase.len);
	buf_addc(&typed, '\n');
	if (!keygen(f, words, &typed, NULL, im->err))
		return 0;
	return strstr(im->err->msg, "incorrect passphrase") ?
		wrong_passphrase(im->err) : -1;
}

static int
from_openssh(struct import *im, const struct buf *text, struct sshkey *ret)
{
	CLEANUP_MEMFILE struct memfile f = MEMFILE_INIT;
	CLEANUP_BUF struct buf line = BUF_INIT;
	struct err why = ERR_INIT;

	if (memfile_open(&f, text->s, text->len, im->err))
		return -1;
	if (public_line(&f, &line, &why)) {
		if (why.code == ERR_NOTFOUND) {
			*im->err = why;
			return -1;
		}
		if (!strstr(why.msg, "incorrect passphrase"))
			return err_set(im->err, ERR_INVALID,
				"that is no private key that ssh-keygen or "
				"OpenSSL can read");
		if (decrypt(im, &f) || public_line(&f, &line, im->err))
			return -1;
	}
	buf_rtrim(&line);
	if (sshkey_check_public(line.s, im->err))
		return -1;
	buf_grow(&ret->private, SSHKEY_MAX);
	if (memfile_read(&f, SSHKEY_MAX, &ret->private, im->err))
		return -1;
	ret->public = buf_detach(&line);
	return 0;
}

int
sshkey_import(const struct buf *text,
	int (*ask_fn)(void *arg, struct buf *ret, struct err *err), void *arg,
	struct sshkey *ret, struct err *err)
{
	struct import im = { .ask = ask_fn, .arg = arg,
		.passphrase = BUF_INIT, .err = err };
	CLEANUP_SSHKEY struct sshkey key = SSHKEY_INIT;
	int rc = 0;

	if (!strstr(text->s, "BEGIN OPENSSH PRIVATE KEY"))
		rc = from_pem(&im, text, &key);
	if (!rc)
		rc = from_openssh(&im, text, &key);
	secret_release(&im.passphrase);
	if (rc < 0)
		return -1;
	*ret = key;
	key = SSHKEY_INIT;
	return 0;
}
