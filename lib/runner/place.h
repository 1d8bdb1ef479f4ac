/*
 * place: where a command runs, as an argv prefix: PREFIX... CMD ARG...
 *
 *	vm:IMAGE	forge-vm run, in a microVM of its own
 *	bwrap		this machine's programs, read-only, as nobody, with
 *			processes and a /tmp of its own (bubblewrap); the
 *			network is this machine's
 *	agent:AGENT	a runner on a host that joined: its id or name, or *
 *			for any connected one with such a label set and room
 *	garm:NAME	an instance of the external provider of garm that
 *			[garm "NAME"] configures; see garm_place.h
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

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;

#define PLACE_AGENT "agent:"

struct place {
	const char *place;
	const char *name; /* of the VM, where the place has names */
	int cpus;
	int64_t memory; /* bytes */
	/* Of agent: and garm: only.  There another makes the runner; CMD is
	 * not run, but its mark is printed and its secret read, as it would. */
	const char *mark;
	const char *labels; /* JSON array */
	const char *scope;
	const char *pool, *github; /* of garm: only; or NULL */
	bool adopt; /* likewise: go on with what is there */
};

/* place may be NULL. */
bool place_is_agent(const char *place);
bool place_is_garm(const char *place);
/* Either: another host's room, and no exit status of the listener. */
bool place_is_far(const char *place);

/* Adds the prefix to ret. */
int place_prefix(struct state *st, const struct place *place,
	struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
