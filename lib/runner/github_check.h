/*
 * github_check: can we do at GitHub what the configuration asks for?
 */
#ifndef FORGE_RUNNER_GITHUB_CHECK_H
#define FORGE_RUNNER_GITHUB_CHECK_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

/*
 * emit, which owns it, gets {"github","what","result","detail"} for each
 * thing looked at: 'credentials', 'budget' and 'webhook' of a section;
 * 'runners SCOPE', 'jobs SCOPE' and 'group NAME' of its pools.  result is
 * "ok", "unknown" or "failed".  *ret_good: none failed.
 */
int github_check(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, bool *ret_good,
	struct err *err) __attribute__((warn_unused_result));

#endif
