#include "lib/session/hooks.h"

#include "lib/session/proxy_hook.h"
#include "lib/session/done.h"
#include "lib/base/banned.h"

/* In the order in which they are called. */
const struct engine_hook *const engine_hooks[] = {
	&hook_limits,
	&proxy_hook,
	&hook_on_ask,
	&done_hook,
	NULL,
};
