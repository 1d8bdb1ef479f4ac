/*
 * garm_provider: microVMs of this host for garm, as one of its external
 * providers: https://github.com/cloudbase/garm, doc/external_provider.md;
 * interface v0.1.0 and v0.1.1.  garm-provider-forge(8) tells the person.
 *
 * garm executes us for each step with a command in $GARM_COMMAND, JSON on
 * stdin for CreateInstance, and takes JSON from stdout.  What we note of an
 * instance is STATE/garm/NAME, written before anything else is done and
 * removed last: {"pool","controller","image","arch"}.
 *
 * The credentials of a runner are fetched here and given to the guest on
 * stdin, so garm's instance token never enters it, nor must the guest reach
 * garm.
 */
#ifndef FORGE_RUNNER_GARM_PROVIDER_H
#define FORGE_RUNNER_GARM_PROVIDER_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

struct garm_env {
	const char *command; /* $GARM_COMMAND */
	const char *controller; /* $GARM_CONTROLLER_ID */
	const char *pool; /* $GARM_POOL_ID */
	const char *instance; /* $GARM_INSTANCE_ID: the name */
	/* From the file $GARM_PROVIDER_CONFIG_FILE; NULL: not there. */
	char *state, *net, *runner_command;
};

#define GARM_ENV_INIT ((struct garm_env){ .command = NULL })
#define CLEANUP_GARM_ENV __attribute__((cleanup(garm_env_release)))
void garm_env_release(struct garm_env *e);

/* What the environment and the configuration say; ERR_INVALID when something
 * is missing that the command needs. */
int garm_env_load(struct garm_env *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Do the command: stdin is read from in_fd (at most 4 MiB), what is to be
 * printed goes to out.  ERR_NOTFOUND is garm's status 30, ERR_EXISTS its 31.
 */
int garm_provide(const struct garm_env *e, int in_fd, struct buf *out,
	struct err *err) __attribute__((warn_unused_result));

/* ---- garm_create.c, for garm_provider.c ---- */

/* From garm's BootstrapInstance to a VM that runs; *ret is its note. */
int garm_create(struct state *st, const struct garm_env *e,
	const struct json *bootstrap, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* "2x4G" or "default", and what extra_specs change. */
int garm_size(const char *flavor, const struct json *extra, int *ret_cpus,
	int64_t *ret_memory, struct err *err)
	__attribute__((warn_unused_result));
/* Run forge-vm with args (NULL-terminated); *out may be NULL. */
int garm_forge_vm(struct state *st, const char *const *args, struct buf *out,
	struct err *err) __attribute__((warn_unused_result));

#endif
