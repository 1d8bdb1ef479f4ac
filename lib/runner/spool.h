/*
 * spool: how a delivery is written to STATE/spool/new, apart from delivery.h
 * so that the program that answers GitHub needs no database and no JSON.
 *
 * A file is there whole or not at all, and when this returns it survives the
 * loss of power.  Its name begins with the time, so that names sort.
 */
#ifndef FORGE_RUNNER_SPOOL_H
#define FORGE_RUNNER_SPOOL_H

#include <stdbool.h>
#include "lib/base/err.h"

struct delivery;

#define SPOOL_MAGIC "forge-delivery 1"

/* dir: the state directory. */
int spool_write(int dir, const struct delivery *d, struct err *err)
	__attribute__((warn_unused_result));

/* A GUID or the name of an event: 1 to 64 letters, digits, - and _. */
bool spool_word(const char *s);

#endif
