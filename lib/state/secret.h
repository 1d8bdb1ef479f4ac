/*
 * secret: small secrets kept in the database, sealed with AES-256-GCM under
 * STATE/secret.key (32 bytes, 0600, made on first use).  The name is the
 * associated data, so a sealed value cannot be moved to another name.
 */
#ifndef FORGE_STATE_SECRET_H
#define FORGE_STATE_SECRET_H

#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;

/* Store or replace; expires_at is ms since 1970, or 0 for never. */
int secret_put(struct state *st, const char *name, const void *p, size_t n,
	int64_t expires_at, struct err *err)
	__attribute__((warn_unused_result));
/* ERR_NOTFOUND when absent or expired.  *ret_expires may be NULL. */
int secret_get(struct state *st, const char *name, struct buf *ret,
	int64_t *ret_expires, struct err *err)
	__attribute__((warn_unused_result));
int secret_remove(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

#endif
