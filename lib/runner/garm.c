#include "lib/runner/garm.h"

#include "lib/base/mem.h"
#include "lib/base/banned.h"

const struct garm_file garm_files[] = {
	{ "credentials/runner", ".runner" },
	{ "credentials/credentials", ".credentials" },
	{ "credentials/credentials_rsaparams", ".credentials_rsaparams" },
};
_Static_assert(ARRAY_SIZE(garm_files) == GARM_FILES, "files");
