/*
 * sshkey: private keys as ssh reads them, and the line that a git host wants.
 *
 * Made here: Ed25519, by OpenSSL.  Read here: any key that ssh-keygen reads
 * (its own format, encrypted or not; RSA and ECDSA in PEM), and Ed25519 in
 * PKCS#8 PEM, which OpenSSL reads and ssh-keygen before 9.6 does not.  What
 * is kept is always the unencrypted OpenSSH form: the state seals it.
 *
 * OpenSSL has no parser for "OPENSSH PRIVATE KEY" and no bcrypt-pbkdf, so
 * that format is ssh-keygen's business.  It works on a memfile: a decrypted
 * key is never on a disk.
 */
#ifndef FORGE_SESSION_SSHKEY_H
#define FORGE_SESSION_SSHKEY_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define SSHKEY_MAX (64u << 10) /* bytes of a key's text */

struct sshkey {
	struct buf private; /* text; overwritten when released */
	char *public; /* "ssh-ed25519 AAAA... comment", no newline */
};
#define SSHKEY_INIT ((struct sshkey){ .private = BUF_INIT })
#define CLEANUP_SSHKEY __attribute__((cleanup(sshkey_release)))
void sshkey_release(struct sshkey *k);
/* A buffer that held a secret: overwritten, then released. */
void secret_release(struct buf *b);
#define CLEANUP_SECRET __attribute__((cleanup(secret_release)))

/* comment: one line, printable; NULL: none. */
int sshkey_make(const char *comment, struct sshkey *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * ask adds the passphrase to its buffer; it is called only for a key that is
 * encrypted.  ERR_INVALID: that is no private key, or not its passphrase.
 */
int sshkey_import(const struct buf *text,
	int (*ask)(void *arg, struct buf *ret, struct err *err), void *arg,
	struct sshkey *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Is it one line that ssh would take as a public key?  ERR_INVALID. */
int sshkey_check_public(const char *line, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The signature of text (SSHSIG, armored, as git keeps it in a commit) by a
 * private key, or by one that an agent has: then key is NULL, agent its
 * socket and public the line.
 */
int sshkey_sign(const struct buf *key, const char *agent, const char *public,
	const void *text, size_t n, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
