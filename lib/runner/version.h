/*
 * version: is the listener in a pool's image too old for GitHub?
 *
 * GitHub takes no registration of a listener older than 2.329.0, and gives no
 * jobs to one 30 days after a newer was released.  What is released is asked
 * of GitHub (`forge-runner sync`, four times a day) and kept in the table
 * release, with the time when we first saw it; which version a pool runs, its
 * last listener told.
 */
#ifndef FORGE_RUNNER_VERSION_H
#define FORGE_RUNNER_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/tell.h"

struct state;

#define VERSION_WARN ((int64_t)20 * 24 * 3600 * 1000) /* ms behind */
#define VERSION_BAR ((int64_t)28 * 24 * 3600 * 1000)
#define VERSION_LEAST "2.329.0"
#define VERSION_TRY ((int64_t)3600 * 1000) /* ms between tries when barred */

/* <0, 0, >0; a part that is no number is 0. */
int version_compare(const char *a, const char *b);
/*
 * The part of "actions-runner-linux-x64-2.330.0.tar.gz" that is the version
 * into at least 32 bytes; false when there is none.
 */
bool version_of_file(const char *file, char *ret, size_t size);

/*
 * Ask GitHub what is released, when the last answer is older than 6 hours;
 * then, or with dry set, tell of each pool that is behind for longer than
 * VERSION_WARN.
 */
int version_check(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

#endif
