#include "lib/session/engine.h"

#include "lib/session/proxy_hook.h"
#include "lib/base/banned.h"

/* In the order in which they are called. */
const struct engine_hook *const engine_hooks[] = {
	&proxy_hook,
	NULL,
};
