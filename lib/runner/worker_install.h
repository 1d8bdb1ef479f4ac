/*
 * worker_install: the agent as a service of systemd.
 */
#ifndef FORGE_RUNNER_WORKER_INSTALL_H
#define FORGE_RUNNER_WORKER_INSTALL_H

#include <stdbool.h>
#include "lib/base/err.h"

struct state;

/*
 * Write DIR/forge-agent.service (dir NULL: /etc/systemd/system) for this
 * program and this state, and, with start, have systemctl(1) read, enable and
 * start it.
 */
int worker_install(struct state *st, const char *dir, bool start,
	struct err *err) __attribute__((warn_unused_result));

#endif
