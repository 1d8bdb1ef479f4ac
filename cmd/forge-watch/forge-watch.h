/* The verbs of forge-watch; each is in the file of its name. */
#ifndef FORGE_WATCH_CMD_H
#define FORGE_WATCH_CMD_H

#include <popt.h>
#include "lib/base/err.h"

extern const struct poptOption run_options[];
extern const struct poptOption events_options[];
extern const struct poptOption metrics_options[];
extern const struct poptOption notify_options[];

int cmd_run(int argc, const char **argv, struct err *err);
int cmd_status(int argc, const char **argv, struct err *err);
int cmd_metrics(int argc, const char **argv, struct err *err);
int cmd_notify(int argc, const char **argv, struct err *err);
int cmd_channels(int argc, const char **argv, struct err *err);
int cmd_events(int argc, const char **argv, struct err *err);

#endif
