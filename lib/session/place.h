/*
 * place: where the agent of a session runs, as an argv prefix; the contract
 * is in forge(7).
 *
 *	here	no prefix: this machine, this user
 *	bwrap	this machine's programs, read-only, with processes, a /tmp
 *		and an environment of its own (bubblewrap); of all other
 *		files only where it works, its HOME, and the folder of its
 *		program; the network is this machine's
 *	NAME	the words of `run` in [place "NAME"]
 */
#ifndef FORGE_SESSION_PLACE_H
#define FORGE_SESSION_PLACE_H

#include <stdbool.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;
struct session;

/* Adds the prefix to ret; home is the agent's HOME, program its word 1. */
int session_place(struct state *st, const struct session *s,
	const char *home, const char *program, struct argv *ret,
	struct err *err) __attribute__((warn_unused_result));
int place_bwrap(struct state *st, const struct session *s, const char *home,
	const char *program, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Does the agent get none of our own environment there? */
bool place_clean(const struct session *s);

#endif
