/*
 * adopt: a runner whose place outlives its supervisor, that of garm: an
 * instance that has its configuration goes on when we die, and another
 * process (`forge-runner run --adopt NAME`) takes it over.  Other places end
 * with their supervisor.
 */
#ifndef FORGE_RUNNER_ADOPT_H
#define FORGE_RUNNER_ADOPT_H

#include <stdbool.h>
#include "lib/base/err.h"

struct db;
struct state;

/* Of a runner whose lock is free. */
int runner_adoptable(struct db *db, const char *name, bool *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Start that process, of this very program, forge-runner. */
int runner_adopt(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

#endif
