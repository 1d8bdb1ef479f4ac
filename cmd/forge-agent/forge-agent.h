/* The verbs of forge-agent. */
#ifndef FORGE_AGENT_CMD_H
#define FORGE_AGENT_CMD_H

#include <popt.h>
#include "lib/base/err.h"

extern const struct poptOption run_options[];
extern const struct poptOption install_options[];

int cmd_run(int argc, const char **argv, struct err *err);
int cmd_show(int argc, const char **argv, struct err *err);
int cmd_install(int argc, const char **argv, struct err *err);

#endif
