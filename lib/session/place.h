/*
 * place: where the agent of a session runs, as an argv prefix; the contract
 * is in forge(7).
 *
 *	here	no prefix: this machine, this user
 *	NAME	the words of `run` in [place "NAME"]
 */
#ifndef FORGE_SESSION_PLACE_H
#define FORGE_SESSION_PLACE_H

#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;
struct session;

/* Adds the prefix to ret. */
int session_place(struct state *st, const struct session *s,
	struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
