/*
 * garm_call: an external provider of garm, executed by us: the place
 * garm:NAME, which [garm "NAME"] configures; interface v0.1.0 and v0.1.1.
 *
 *	CLEANUP_GARM struct garm g = GARM_INIT;
 *	struct garm_ask ask = { .command = "GetInstance", .pool = pool,
 *		.instance = id };
 *	if (garm_load(st, "aws", &g, err) || garm_call(&g, &ask, &out, err))
 *	... garm_instance(&out, &instance, err) ...
 *
 * A provider is somebody else's program: it starts with nothing of our
 * environment but what `environment` names, gets `timeout`, and what it
 * prints is bounded before it is parsed.
 */
#ifndef FORGE_RUNNER_GARM_CALL_H
#define FORGE_RUNNER_GARM_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

#define PLACE_GARM "garm:"

struct garm {
	char *name; /* of the section */
	char *provider; /* its executable */
	char *config_file;
	bool extended; /* v0.1.1 */
	char *image, *flavor, *os_type, *os_arch;
	char *metadata_url, *callback_url; /* of forge-webhook */
	char *ca_file; /* for instances to trust; or NULL */
	struct json *specs; /* an object */
	struct argv env; /* names to pass on; NAME* by their beginning */
	int64_t timeout; /* ms, of one command */
	int64_t poll; /* ms between two looks at an instance */
	char *controller; /* our id, the same as long as the state lives */
};
#define GARM_INIT ((struct garm){ .env = ARGV_INIT })
#define CLEANUP_GARM __attribute__((cleanup(garm_release)))
void garm_release(struct garm *g);

/* ERR_NOTFOUND: no such section; ERR_INVALID: it lacks something. */
int garm_load(struct state *st, const char *name, struct garm *ret,
	struct err *err) __attribute__((warn_unused_result));

struct garm_ask {
	const char *command; /* "CreateInstance", ... */
	const char *pool; /* id; where the command needs it, or NULL */
	const char *instance; /* provider's id, or name; or NULL */
	const struct buf *in; /* stdin; or NULL */
	int cancel; /* 1 + fd: give up when it is readable; 0: none */
};

/*
 * ERR_NOTFOUND: it knows no such instance (30); ERR_EXISTS: there is one
 * (31); ERR_TIMEOUT, ERR_LIMIT, ERR_CANCELED; ERR_SYS for any other failure.
 * What it said last on stderr, or else on stdout, is in the message.
 */
int garm_call(const struct garm *g, const struct garm_ask *ask,
	struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* One instance as a provider tells of it; all fields are there and bounded. */
struct garm_instance {
	char *id, *name, *status;
	char *address; /* the first, or NULL */
	char *fault; /* or NULL */
};
#define GARM_INSTANCE_INIT ((struct garm_instance){ 0 })
#define CLEANUP_INSTANCE __attribute__((cleanup(garm_instance_release)))
void garm_instance_release(struct garm_instance *i);
int garm_instance_of(const struct json *j, struct garm_instance *ret,
	struct err *err) __attribute__((warn_unused_result));
/* What a command printed. */
int garm_instance(const struct buf *out, struct garm_instance *ret,
	struct err *err) __attribute__((warn_unused_result));

/* GetInstance. */
int garm_get(const struct garm *g, const char *pool, const char *id,
	struct garm_instance *ret, struct err *err)
	__attribute__((warn_unused_result));
/* ListInstances; each() stops it by returning non-zero. */
int garm_list(const struct garm *g, const char *pool,
	int (*each)(const struct garm_instance *i, void *arg), void *arg,
	struct err *err) __attribute__((warn_unused_result));
/* DeleteInstance; one that is not there is success. */
int garm_delete(const struct garm *g, const char *pool, const char *id,
	struct err *err) __attribute__((warn_unused_result));

/* For people: any command but CreateInstance; ERR_USAGE when it is none, or
 * instance is needed or not.  What it printed is added to out. */
int garm_command(const struct garm *g, const char *command, const char *pool,
	const char *instance, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* A pool's id for providers: a UUID made of its name; caller frees. */
char *garm_pool_id(const struct garm *g, const char *pool);

#endif
