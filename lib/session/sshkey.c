#include "lib/session/sshkey.h"

#include <ctype.h>
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/memfile.h"
#include "lib/session/sshkey_internal.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

static const char type[] = "ssh-ed25519";

void
secret_release(struct buf *b)
{
	if (b->alloc)
		OPENSSL_cleanse(b->s, b->alloc);
	buf_release(b);
}

void
sshkey_release(struct sshkey *k)
{
	secret_release(&k->private);
	free(k->public);
	*k = SSHKEY_INIT;
}

static void
add_u32(struct buf *b, uint32_t n)
{
	uint32_t big = htobe32(n);

	buf_add(b, &big, sizeof(big));
}

static void
add_string(struct buf *b, const void *p, size_t n)
{
	add_u32(b, (uint32_t)n);
	buf_add(b, p, n);
}

/* What follows is in PROTOCOL.key of OpenSSH, cipher "none". */
static void
add_private_part(struct buf *b, const unsigned char *seed,
	const unsigned char *pub, const char *comment)
{
	uint32_t check;
	unsigned char pad = 1;

	random_bytes(&check, sizeof(check));
	add_u32(b, check);
	add_u32(b, check);
	add_string(b, type, sizeof(type) - 1);
	add_string(b, pub, ED25519_SIZE);
	add_u32(b, 2 * ED25519_SIZE);
	buf_add(b, seed, ED25519_SIZE);
	buf_add(b, pub, ED25519_SIZE);
	add_string(b, comment, strlen(comment));
	while (b->len % 8)
		buf_addc(b, (char)pad++);
}

static void
armor(struct buf *out, const struct buf *blob)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;
	size_t i;

	/* grown at once, so that no copy of it is left behind */
	buf_grow(&text, blob->len * 2);
	buf_grow(out, blob->len * 2 + 200);
	base64_add(&text, blob->s, blob->len);
	buf_adds(out, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (i = 0; i < text.len; i += 70)
		buf_addf(out, "%.70s\n", text.s + i);
	buf_adds(out, "-----END OPENSSH PRIVATE KEY-----\n");
}

void
sshkey_from_raw(const unsigned char *seed, const unsigned char *pub,
	const char *comment, struct sshkey *ret)
{
	CLEANUP_SECRET struct buf blob = BUF_INIT, private = BUF_INIT;
	CLEANUP_BUF struct buf public = BUF_INIT, line = BUF_INIT;

	buf_grow(&blob, 1024 + 2 * strlen(comment));
	buf_grow(&private, 512 + strlen(comment));
	add_string(&public, type, sizeof(type) - 1);
	add_string(&public, pub, ED25519_SIZE);
	add_private_part(&private, seed, pub, comment);
	buf_add(&blob, "openssh-key-v1", sizeof("openssh-key-v1"));
	add_string(&blob, "none", 4); /* cipher */
	add_string(&blob, "none", 4); /* kdf */
	add_string(&blob, "", 0);
	add_u32(&blob, 1);
	add_string(&blob, public.s, public.len);
	add_string(&blob, private.s, private.len);
	armor(&ret->private, &blob);

	buf_addf(&line, "%s ", type);
	base64_add(&line, public.s, public.len);
	if (*comment)
		buf_addf(&line, " %s", comment);
	ret->public = buf_detach(&line);
}

int
sshkey_make(const char *comment, struct sshkey *ret, struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	int rc = key ? sshkey_from_evp(key, comment ? comment : "", ret, err) :
		err_set(err, ERR_SYS, "libcrypto made no Ed25519 key");

	EVP_PKEY_free(key);
	return rc;
}

static bool
word(const char **p, size_t max)
{
	const char *s = *p;

	while (isgraph((unsigned char)**p))
		(*p)++;
	return *p > s && (size_t)(*p - s) <= max;
}

int
sshkey_check_public(const char *line, struct err *err)
{
	CLEANUP_BUF struct buf blob = BUF_INIT;
	const char *p = line, *key, *c;
	uint32_t n;
	size_t len;

	if (word(&p, 64) && *p == ' ') {
		len = (size_t)(p - line);
		key = ++p;
		if (word(&p, SSHKEY_MAX) && (!*p || *p == ' ') &&
			!base64_decode(key, (size_t)(p - key), SSHKEY_MAX,
				&blob) &&
			blob.len > sizeof(n) + len) {
			memcpy(&n, blob.s, sizeof(n));
			for (c = p; isprint((unsigned char)*c) || *c < 0; c++)
				;
			/* The blob begins with the type once more. */
			if (be32toh(n) == len && !*c &&
				!memcmp(blob.s + sizeof(n), line, len))
				return 0;
		}
	}
	return err_set(err, ERR_INVALID,
		"that is no public key of OpenSSH: one line such as "
		"'ssh-ed25519 AAAA... comment'");
}

int
sshkey_sign(const struct buf *key, const char *agent, const char *public,
	const void *text, size_t n, struct buf *ret, struct err *err)
{
	static const char *const sign[] = { "ssh-keygen", "-q", "-Y", "sign",
		"-n", "git", "-f", NULL };
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_MEMFILE struct memfile f = MEMFILE_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT;
	int rc;

	rc = key ? memfile_open(&f, key->s, key->len, err) :
		memfile_open(&f, public, strlen(public), err);
	if (rc)
		return -1;
	argv_pushv(&p.argv, sign);
	argv_push(&p.argv, f.path);
	if (agent)
		argv_pushf(&p.env, "SSH_AUTH_SOCK=%s", agent);
	p.new_session = true; /* it must not ask anybody */
	buf_add(&in, text, n);
	if (proc_run(&p, &in, ret, SSHKEY_MAX, 60000, err))
		return err_wrap(err, "cannot sign");
	return 0;
}
