#include "lib/runner/twice.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/etag.h"
#include "lib/base/banned.h"

int
twice_forget(struct db *db, const char *key, struct err *err)
{
	return etag_put(db, key, NULL, NULL, err);
}

int
twice_seen(struct db *db, const char *key, bool dry, bool *ret,
	struct err *err)
{
	CLEANUP_FREE char *tag = NULL, *note = NULL;
	CLEANUP_FREE char *now = xasprintf("%" PRId64, clock_wall());
	struct err unused = ERR_INIT;
	int64_t first;

	*ret = false;
	if (etag_get(db, key, &tag, &note, err))
		return -1;
	if (note && !parse_i64(note, 0, INT64_MAX, key, &first, &unused)) {
		*ret = clock_wall() - first >= TWICE_AGE;
		return 0;
	}
	return dry ? 0 : etag_put(db, key, "orphan", now, err);
}
