/*
 * place: where a command runs, as an argv prefix: PREFIX... CMD ARG...
 *
 *	vm:IMAGE	forge-vm run, in a microVM of its own
 *	bwrap		this machine's programs, read-only, as nobody, with
 *			processes and a /tmp of its own (bubblewrap); the
 *			network is this machine's
 *	here		no prefix: this machine, this user
 *	NAME		the words of `run` in [place "NAME"], for example
 *			"srun --quiet --ntasks=1 --"
 *
 * The contract of a prefix (forge(7)): stdin, stdout and stderr reach CMD,
 * its exit status comes back, 125 says that the place failed before CMD
 * began, SIGTERM ends CMD, and the place is gone when the prefix is.
 */
#ifndef FORGE_RUNNER_PLACE_H
#define FORGE_RUNNER_PLACE_H

#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;

struct place {
	const char *place;
	const char *name; /* of the VM, where the place has names */
	int cpus;
	int64_t memory; /* bytes */
};

/* Adds the prefix to ret. */
int place_prefix(struct state *st, const struct place *place,
	struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
