/*
 * image_config: how to run what an image holds: the keys env, user, workdir,
 * entrypoint and cmd of its manifest, as OCI has them.
 *
 *	CLEANUP_IMAGE_CONFIG struct image_config c = IMAGE_CONFIG_INIT;
 *	image_config_read(manifest, &c);
 *	image_config_command(&c, &argv);
 */
#ifndef FORGE_VM_IMAGE_CONFIG_H
#define FORGE_VM_IMAGE_CONFIG_H

#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

struct image_config {
	struct argv env; /* NAME=VALUE each */
	struct argv entrypoint, cmd;
	char *user, *workdir; /* or NULL */
};

#define IMAGE_CONFIG_INIT                                     \
	((struct image_config){ .env = ARGV_INIT,             \
		.entrypoint = ARGV_INIT, .cmd = ARGV_INIT })
#define CLEANUP_IMAGE_CONFIG __attribute__((cleanup(image_config_release)))
void image_config_release(struct image_config *c);

/* Added to ret, which is empty; what is no string or no NAME=VALUE is left. */
void image_config_read(const struct json *manifest, struct image_config *ret);
void image_config_put(const struct image_config *c, struct json *manifest);

/* The strings of the array at key of any JSON; anything else is left out. */
void image_config_list(const struct json *j, const char *key,
	struct argv *ret);

/* What runs when nobody says: entrypoint and cmd, at last /bin/sh. */
void image_config_command(const struct image_config *c, struct argv *ret);

/*
 * In vm/NAME of one that runs: a link to its image and, unless the image says
 * nothing, user, workdir and env for its commands.
 */
#define VM_IMAGE "image"
#define VM_DEFAULTS "defaults"
int image_config_link(int dirfd, const char *image,
	const struct json *manifest, struct err *err)
	__attribute__((warn_unused_result));
/*
 * These, without entrypoint and cmd; of one that does not run as
 * image_config_of_vm().
 */
int image_config_defaults(struct state *st, const char *vm,
	struct image_config *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * That of the image a VM was booted from.  An image that is not there any
 * more gives an empty one; ERR_NOTFOUND: no such VM.
 */
int image_config_of_vm(struct state *st, const char *vm,
	struct image_config *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
