/*
 * proxy_hook: a session's own proxy (proxy.h), a process of `forge-session
 * proxy` that ends with the session's supervisor.  Only where a key is kept
 * for the provider (api_key.h); its lines go to session/ID/api.ndjson.
 */
#ifndef FORGE_SESSION_PROXY_HOOK_H
#define FORGE_SESSION_PROXY_HOOK_H

#include "lib/session/engine.h"

extern const struct engine_hook proxy_hook;

#endif
