#include "lib/runner/garm_call.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
garm_command(const struct garm *g, const char *command, const char *pool,
	const char *instance, struct buf *out, struct err *err)
{
	static const struct {
		const char *name;
		bool one; /* instance */
		bool later; /* v0.1.1 */
	} known[] = {
		{ "ListInstances", false, false },
		{ "GetInstance", true, false },
		{ "DeleteInstance", true, false },
		{ "StartInstance", true, false },
		{ "StopInstance", true, false },
		{ "RemoveAllInstances", false, false },
		{ "GetVersion", false, false },
		{ "GetSupportedInterfaceVersions", false, true },
		{ "ValidatePoolInfo", false, true },
		{ "GetConfigJSONSchema", false, true },
		{ "GetExtraSpecsJSONSchema", false, true },
	};
	CLEANUP_FREE char *id = garm_pool_id(g, pool);
	struct garm_ask ask = { .command = command, .pool = id,
		.instance = instance };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, command))
			break;
	if (i == ARRAY_SIZE(known))
		return err_set(err, ERR_USAGE,
			"'%.40s' is no command of garm's providers", command);
	if (known[i].later && !g->extended)
		return err_set(err, ERR_USAGE,
			"%s is of interface v0.1.1, and garm '%s' is of v0.1.0",
			command, g->name);
	if (known[i].one != (instance != NULL))
		return err_set(err, ERR_USAGE, known[i].one ?
			"%s needs the id of an instance" :
			"%s is of no instance", command);
	return garm_call(g, &ask, out, err);
}
