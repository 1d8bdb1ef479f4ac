/*
 * done: the engine's hook that does what --on-done names (session option
 * "on_done") when a session has completed; it is worktree_done().  A failure
 * is the event session.undone: the session itself went well.
 */
#ifndef FORGE_SESSION_DONE_H
#define FORGE_SESSION_DONE_H

#include "lib/session/engine.h"

extern const struct engine_hook done_hook;

#endif
