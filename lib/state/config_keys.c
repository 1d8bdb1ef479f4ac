#include "lib/state/config_keys.h"

#include "lib/base/mem.h"
#include "lib/base/banned.h"

const struct config_key config_keys[] = {
	{ "agents", false, "grace", CONFIG_DURATION },
	{ "agents", false, "listen", CONFIG_STRING },
	{ "agents", false, "name", CONFIG_STRING },
	{ "agents", false, "proxy", CONFIG_BOOL },
	{ "agents", false, "url", CONFIG_STRING },

	{ "forge", false, "max-vms", CONFIG_INT },
	{ "forge", false, "max-memory", CONFIG_SIZE },
	{ "forge", false, "max-cpus", CONFIG_INT },
	{ "forge", false, "max-per-repo", CONFIG_INT },
	{ "forge", false, "cpus-per-core", CONFIG_INT },
	{ "forge", false, "keep-memory", CONFIG_SIZE },
	{ "forge", false, "keep-disk", CONFIG_SIZE },
	{ "forge", false, "ageing", CONFIG_DURATION },
	{ "forge", false, "keep-runners", CONFIG_DURATION },

	{ "github", true, "api", CONFIG_STRING },
	{ "github", true, "app-id", CONFIG_STRING },
	{ "github", true, "key-file", CONFIG_STRING },
	{ "github", true, "token-file", CONFIG_STRING },
	{ "github", true, "installation-id", CONFIG_INT },
	{ "github", true, "webhook-secret-file", CONFIG_STRING },
	{ "github", true, "ca-file", CONFIG_STRING },
	{ "github", true, "pace", CONFIG_BOOL },

	{ "pool", true, "github", CONFIG_STRING },
	{ "pool", true, "scope", CONFIG_STRING },
	{ "pool", true, "labels", CONFIG_STRING },
	{ "pool", true, "place", CONFIG_STRING },
	{ "pool", true, "cpus", CONFIG_INT },
	{ "pool", true, "memory", CONFIG_SIZE },
	{ "pool", true, "min-idle", CONFIG_INT },
	{ "pool", true, "max", CONFIG_INT },
	{ "pool", true, "priority", CONFIG_INT },
	{ "pool", true, "weight", CONFIG_INT },
	{ "pool", true, "allow-cpus", CONFIG_INT },
	{ "pool", true, "allow-memory", CONFIG_SIZE },
	{ "pool", true, "allow-images", CONFIG_STRING },
	{ "pool", true, "job-timeout", CONFIG_DURATION },
	{ "pool", true, "boot-timeout", CONFIG_DURATION },
	{ "pool", true, "idle-timeout", CONFIG_DURATION },
	{ "pool", true, "register-timeout", CONFIG_DURATION },
	{ "pool", true, "hold-on-failure", CONFIG_DURATION },
	{ "pool", true, "runner-command", CONFIG_STRING },
	{ "pool", true, "runner-group", CONFIG_STRING },
	{ "pool", true, "scale-set", CONFIG_STRING },
	{ "pool", true, "prefix", CONFIG_STRING },

	{ "repo", true, "max", CONFIG_INT },
	{ "repo", true, "weight", CONFIG_INT },

	{ "place", true, "run", CONFIG_STRING },

	{ "provider", true, "dir", CONFIG_STRING },
	{ "provider", true, "home", CONFIG_STRING },
	{ "provider", true, "program", CONFIG_STRING },
	{ "provider", true, "key-file", CONFIG_STRING },
	{ "provider", true, "api", CONFIG_STRING },
	{ "provider", true, "api-auth", CONFIG_STRING },
	{ "provider", true, "ca-file", CONFIG_STRING },

	{ "vm", false, "driver", CONFIG_STRING },
	{ "vm", false, "net", CONFIG_STRING },
	{ "vm", false, "egress", CONFIG_STRING },
	{ "vm", false, "subnet", CONFIG_STRING },
	{ "vm", false, "subnet6", CONFIG_STRING },
	{ "vm", false, "bridge", CONFIG_STRING },
	{ "vm", false, "nameserver", CONFIG_STRING },
	{ "vm", false, "boot-timeout", CONFIG_DURATION },
	{ "vm", false, "accel", CONFIG_STRING },

	{ "image", false, "kernel-package", CONFIG_STRING },
	{ "image", false, "mirror", CONFIG_STRING },

	{ "watch", false, "metrics", CONFIG_STRING },
	{ "watch", false, "poll", CONFIG_DURATION },
	{ "watch", false, "redeliver", CONFIG_DURATION },

	{ "session", false, "policy", CONFIG_STRING },
	{ "session", false, "day-budget-usd", CONFIG_STRING },
	{ "session", false, "day-tokens", CONFIG_INT },
	{ "identity", true, "day-budget-usd", CONFIG_STRING },
	{ "identity", true, "day-tokens", CONFIG_INT },

	{ "notify", true, "url", CONFIG_STRING },
	{ "notify", true, "ntfy", CONFIG_STRING },
	{ "notify", true, "command", CONFIG_STRING },
	{ "notify", true, "secret-file", CONFIG_STRING },
	{ "notify", true, "token-file", CONFIG_STRING },
	{ "notify", true, "ca-file", CONFIG_STRING },
	{ "notify", true, "events", CONFIG_STRING },
	{ "notify", true, "filter", CONFIG_STRING },
	{ "notify", true, "timeout", CONFIG_DURATION },

	{ "webhook", false, "max-body", CONFIG_SIZE },
	{ "webhook", false, "direct", CONFIG_BOOL },

};
const size_t config_keys_count = ARRAY_SIZE(config_keys);
