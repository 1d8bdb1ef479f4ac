/*
 * api_key: the key by which an agent's calls to its API are paid, and how
 * that API is spoken to.  The key is never given to the agent: the proxy
 * (proxy.h) puts it into the calls.
 *
 * Of the provider's file (forge-provider(5)):
 *	api = https://HOST	the only server that calls go to
 *	api-path = /v1/		what the agent may call there; repeated
 *	api-auth = NAME: {key}	the header with the key; repeated
 *	api-env = NAME=VALUE	for the agent: {url} and {token} of the proxy
 *	api-arg = WORDS		for its command line, likewise; repeated
 * Of the configuration, [provider "NAME"]: key-file, else the key that
 * api_key_put() sealed; api, api-auth and ca-file instead of the above.
 */
#ifndef FORGE_SESSION_API_KEY_H
#define FORGE_SESSION_API_KEY_H

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct state;
struct provider;

enum { API_KEY_MAX = 8192 };

struct api_key {
	char *key; /* NULL: there is none, so there is no proxy */
	char *api;
	char *ca_file; /* or NULL */
	struct argv paths; /* prefixes */
	struct argv auth; /* "Name: ...{key}" */
	struct argv env; /* "NAME=...{url}...{token}" */
	struct argv args; /* likewise, split at white space */
};

#define API_KEY_INIT                                                   \
	((struct api_key){ .paths = ARGV_INIT, .auth = ARGV_INIT,      \
		.env = ARGV_INIT, .args = ARGV_INIT })
void api_key_release(struct api_key *k);
#define CLEANUP_API_KEY __attribute__((cleanup(api_key_release)))

/* A provider without `api`, or without a key, is no failure: key is NULL. */
int api_key_load(struct state *st, const struct provider *p,
	struct api_key *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Keep a provider's key, sealed; an empty one is forgotten. */
int api_key_put(struct state *st, const char *provider,
	const struct buf *key, struct err *err)
	__attribute__((warn_unused_result));

/* text with what stands for {name} put in; caller frees. */
char *api_key_fill(const char *text, const char *name, const char *value);

#endif
