/*
 * instance: rows of what garm's providers run for us, and the tokens by which
 * an instance is known to us over HTTP.
 *
 *	instance_intend()	before CreateInstance
 *	instance_created()	the provider has told its id
 *	instance_called()	it was heard of, over HTTP: its place is up
 *	instance_handed()	its configuration is there to be fetched
 *	instance_removed()	the provider has it no more
 *
 * A token is of one instance, is kept as a keyed hash, and ends with
 * token_until or the instance.  Events: runner.placed, runner.told,
 * runner.unplaced.
 */
#ifndef FORGE_RUNNER_INSTANCE_H
#define FORGE_RUNNER_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

struct db;
struct state;
struct garm_instance;

enum { INSTANCE_CALLS = 100 }; /* notes of one are kept, no more */

struct instance {
	char *name, *place, *pool;
	char *provider_id, *status, *message; /* or NULL */
	char *state; /* of the runner; NULL: there is no such row */
	bool called, handed;
	bool over; /* the runner's job has ended */
	int64_t github_id;
};
#define INSTANCE_INIT ((struct instance){ 0 })
#define CLEANUP_ROW __attribute__((cleanup(instance_release)))
void instance_release(struct instance *i);

/* *ret_token is a secret; caller frees. */
int instance_intend(struct db *db, const char *name, const char *place,
	const char *pool, int64_t token_ms, char **ret_token, struct err *err)
	__attribute__((warn_unused_result));
int instance_created(struct db *db, const char *name,
	const struct garm_instance *i, struct err *err)
	__attribute__((warn_unused_result));
/* The first time only. */
int instance_called(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* What it says of itself: bounded here, and only so often. */
int instance_told(struct db *db, const char *name, const char *status,
	const char *message, struct err *err)
	__attribute__((warn_unused_result));
int instance_system(struct db *db, const char *name, const char *os_name,
	const char *os_version, struct err *err)
	__attribute__((warn_unused_result));
/* The configuration, a secret, is sealed until instance_removed(). */
int instance_hand(struct state *st, const char *name, const char *jit,
	struct err *err) __attribute__((warn_unused_result));
int instance_removed(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* ERR_NOTFOUND. */
int instance_get(struct db *db, const char *name, struct instance *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Of which instance is this token?  ERR_AUTH: of none, now. */
int instance_by_token(struct db *db, const char *token, char **ret_name,
	struct err *err) __attribute__((warn_unused_result));
/* The name of the secret that has its configuration; caller frees. */
char *instance_secret(const char *name);

#endif
