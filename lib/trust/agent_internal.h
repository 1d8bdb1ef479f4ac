/* What agents say, made fit to store: for agent*.c. */
#ifndef FORGE_TRUST_AGENT_INTERNAL_H
#define FORGE_TRUST_AGENT_INTERNAL_H

#include "lib/base/json.h"

/*
 * An array of arrays of labels as JSON: lower case, each set sorted and
 * without doubles.  At most 64 sets of 64 labels with 256 printable bytes
 * each; ERR_INVALID.  Caller frees.
 */
int agent_label_sets(const struct json *sets, char **ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
