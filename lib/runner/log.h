/*
 * log: read back what a runner printed.
 */
#ifndef FORGE_RUNNER_LOG_H
#define FORGE_RUNNER_LOG_H

#include <stdbool.h>
#include "lib/base/err.h"

struct state;

/*
 * Copy runner/NAME/log to fd; with follow, go on until the runner is done.
 * On a terminal control bytes other than tab and newline are shown as '?':
 * the text is a stranger's.  ERR_NOTFOUND when nothing was ever logged.
 */
int runner_log(struct state *st, const char *name, bool follow, int fd,
	struct err *err) __attribute__((warn_unused_result));

/*
 * The archive of the listener's diagnostics (a tar.gz with _diag/) to fd.
 * ERR_NOTFOUND when there is none.
 */
int runner_diag(struct state *st, const char *name, int fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
