/*
 * hooks: the parts of lib/session that have a say in how a session goes;
 * engine.h tells what a hook may do.
 */
#ifndef FORGE_SESSION_HOOKS_H
#define FORGE_SESSION_HOOKS_H

#include "lib/session/engine.h"

extern const struct engine_hook hook_on_ask; /* on_ask.h */
extern const struct engine_hook hook_limits; /* budgets, timeouts: spent.h */

#endif
