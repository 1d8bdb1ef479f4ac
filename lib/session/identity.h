/*
 * identity: who commits and pushes: an author, an ssh key, and perhaps a
 * token for the git host's API.
 *
 * The row has what may be shown; the private key and the token are sealed
 * secrets ("identity/NAME", "identity/NAME/token"; state/secret.h).  An
 * identity may instead name the socket of an ssh-agent that has its key.
 */
#ifndef FORGE_SESSION_IDENTITY_H
#define FORGE_SESSION_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct db;
struct sshkey;

struct identity {
	char *name;
	char *author_name;
	char *author_email;
	char *public_key; /* one line */
	char *agent; /* socket that has the private key; NULL: we have it */
	bool sign; /* commits are signed with the key */
	int64_t created_at;
};

#define IDENTITY_INIT ((struct identity){ 0 })
#define CLEANUP_IDENTITY __attribute__((cleanup(identity_release)))
void identity_release(struct identity *id);

/* "Name <mail>" into id->author_name and author_email; ERR_USAGE. */
int identity_author(const char *text, struct identity *id, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The row of name, author, agent, sign and the key's public line; its
 * private text (none with an agent) sealed; event identity.created.
 * ERR_EXISTS.
 */
int identity_create(struct state *st, const struct identity *id,
	const struct sshkey *key, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_NOTFOUND. */
int identity_get(struct state *st, const char *name, struct identity *ret,
	struct err *err) __attribute__((warn_unused_result));

/* The private key as ssh reads it, added to ret; ERR_NOTFOUND: an agent's. */
int identity_key(struct state *st, const char *name, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

/* The API token, added to ret; ERR_NOTFOUND without one. */
int identity_token(struct state *st, const char *name, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Seal it; an empty one is forgotten. */
int identity_set_token(struct state *st, const char *name,
	const struct buf *token, struct err *err)
	__attribute__((warn_unused_result));

/* Row and secrets gone.  ERR_BUSY: a session that is not over uses it. */
int identity_remove(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/*
 * By name, one JSON object each (name, author_name, author_email,
 * public_key, sign, agent, token: is there one, created_at); emit owns it.
 * name NULL: all of them; otherwise ERR_NOTFOUND.
 */
int identity_each(struct state *st, const char *name,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
