/*
 * notify: the file by which writers wake followers; event.h tells how.  Only
 * for state.c and event.c.
 */
#ifndef FORGE_STATE_NOTIFY_H
#define FORGE_STATE_NOTIFY_H

#include "lib/base/err.h"

struct state;

#define NOTIFY_PATH "run/notify"

/* Make the directory and the file if they are missing. */
int notify_make(struct state *st, struct err *err)
	__attribute__((warn_unused_result));

#endif
