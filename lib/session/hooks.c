#include "lib/session/engine.h"

#include "lib/base/banned.h"

/* In the order in which they are called. */
const struct engine_hook *const engine_hooks[] = {
	NULL,
};
