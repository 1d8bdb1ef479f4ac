/*
 * bundle: all that a new agent needs to join, as one word to copy:
 * "kfr1_" and base64url without padding of compact JSON with the keys ca
 * (PEM, absent when the server's certificate comes from a public CA), m
 * ("ca" or "chain"), t (the token) and u (the coordinator's URL).
 * kuiper-forge's agents read and write the same bytes.
 */
#ifndef FORGE_TRUST_BUNDLE_H
#define FORGE_TRUST_BUNDLE_H

#include <stdbool.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { BUNDLE_MAX = 64 * 1024 };

struct bundle {
	char *token;
	char *ca; /* NULL: the system's CAs */
	char *url; /* https://HOST[:PORT] */
};
#define BUNDLE_INIT ((struct bundle){ .token = NULL })
#define CLEANUP_BUNDLE __attribute__((cleanup(bundle_release)))
void bundle_release(struct bundle *b);

void bundle_write(const struct bundle *b, struct buf *ret);
/* ERR_INVALID says what is wrong with it; white space around is ignored, keys
 * may be in any order, unknown ones are ignored. */
int bundle_parse(const char *s, size_t n, struct bundle *ret,
	struct err *err) __attribute__((warn_unused_result));

/* HOST and PORT (443 without) of "https://HOST[:PORT][/]"; caller frees. */
int bundle_url(const char *url, char **ret_host, int *ret_port,
	struct err *err) __attribute__((warn_unused_result));

#endif
