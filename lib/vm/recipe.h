/*
 * recipe: how to build an image of a certain purpose: an executable that runs
 * `forge-vm image build` with the options that make it.  Shipped ones are in
 * libexec/forge/recipes/, sources in share/recipes/.
 *
 * It is run as RECIPE [OPTION...] NAME and hands these on; in its environment
 * are FORGE_VM (this program), FORGE_STATE, FORGE_BASE (--base, when it was
 * given), and set_NAME for each `--set NAME=VALUE`.
 */
#ifndef FORGE_VM_RECIPE_H
#define FORGE_VM_RECIPE_H

#include <stdbool.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;

struct recipe {
	const char *name; /* or a path, with a '/' */
	const char *base; /* or NULL */
	struct argv set; /* NAME=VALUE */
	struct argv args; /* OPTION... NAME */
};

#define RECIPE_INIT ((struct recipe){ .set = ARGV_INIT, .args = ARGV_INIT })
#define CLEANUP_RECIPE __attribute__((cleanup(recipe_release)))
void recipe_release(struct recipe *r);

/* Is there one of that name? */
bool recipe_exists(const char *name);

/* Run it; *ret_status is its exit status.  ERR_NOTFOUND; ERR_USAGE for a
 * --set that is no NAME=VALUE. */
int recipe_run(struct state *st, const struct recipe *r, int *ret_status,
	struct err *err) __attribute__((warn_unused_result));

#endif
