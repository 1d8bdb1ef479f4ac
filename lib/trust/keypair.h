/*
 * keypair: the far end of a certificate: a key of one's own, the request for
 * it, and whether what came back belongs to it.  All in PEM form.
 */
#ifndef FORGE_TRUST_KEYPAIR_H
#define FORGE_TRUST_KEYPAIR_H

#include <stdint.h>
#include "lib/base/err.h"

/* Caller frees both; *ret_key is a secret: keypair_free(). */
int keypair_make(const char *name, char **ret_key, char **ret_csr,
	struct err *err) __attribute__((warn_unused_result));
void keypair_free(char *key);

/*
 * Is the first certificate of cert that of key?  Then *ret_name is its common
 * name (caller frees) and the times are ms since 1970.  ERR_INVALID.
 */
int keypair_check(const char *cert, const char *key, char **ret_name,
	int64_t *ret_before, int64_t *ret_after, struct err *err)
	__attribute__((warn_unused_result));

#endif
