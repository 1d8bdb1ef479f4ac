/*
 * token: one-time passwords by which a new agent may register.  Only their
 * SHA-256 is stored.  A token is used once, also when a hundred try at the
 * same time, and for an hour by default.
 */
#ifndef FORGE_TRUST_TOKEN_H
#define FORGE_TRUST_TOKEN_H

#include <stdint.h>
#include "lib/base/json.h"
#include "lib/base/err.h"

struct db;

/* The kinds of agents: "vm", "tart", "proxmox". */
int token_kind(const char *kind, const char *what, struct err *err)
	__attribute__((warn_unused_result));

struct token_new {
	const char *kind; /* NULL: any */
	const char *url; /* what its bundle names */
	const char *by; /* who asked for it */
	int64_t ttl_ms;
};
/* *ret is the token itself, "reg_" and 32 characters, told only now; caller
 * frees. */
int token_create(struct db *db, const struct token_new *t, char **ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Use it for an agent of that kind, in the transaction of the caller.
 * ERR_AUTH says why not: unknown, used, revoked, expired, for another kind.
 * who: the agent's id, kept with the token.
 */
int token_consume(struct db *db, const char *token, const char *kind,
	const char *who, struct err *err) __attribute__((warn_unused_result));

/* given: its id or the token itself; ERR_NOTFOUND; ERR_BUSY when it was used. */
int token_revoke(struct db *db, const char *given, struct err *err)
	__attribute__((warn_unused_result));
/* As rows_each(); all: those that cannot be used any more, too. */
int token_each(struct db *db, int all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
