/* The verbs of forge-runner; each is in the file of its name. */
#ifndef FORGE_RUNNER_CMD_H
#define FORGE_RUNNER_CMD_H

#include <popt.h>
#include "lib/base/err.h"

extern const struct poptOption run_options[];
extern const struct poptOption start_options[];
extern const struct poptOption list_options[];
extern const struct poptOption jobs_options[];
extern const struct poptOption stop_options[];
extern const struct poptOption logs_options[];
extern const struct poptOption sync_options[];
extern const struct poptOption trim_options[];
extern const struct poptOption hold_options[];
extern const struct poptOption garm_options[];

int cmd_run(int argc, const char **argv, struct err *err);
int cmd_start(int argc, const char **argv, struct err *err);
int cmd_list(int argc, const char **argv, struct err *err);
int cmd_show(int argc, const char **argv, struct err *err);
int cmd_jobs(int argc, const char **argv, struct err *err);
int cmd_why(int argc, const char **argv, struct err *err);
int cmd_stop(int argc, const char **argv, struct err *err);
int cmd_rm(int argc, const char **argv, struct err *err);
int cmd_logs(int argc, const char **argv, struct err *err);
int cmd_scaleset(int argc, const char **argv, struct err *err);
int cmd_garm(int argc, const char **argv, struct err *err);
int cmd_check(int argc, const char **argv, struct err *err);
int cmd_sync(int argc, const char **argv, struct err *err);
int cmd_hold(int argc, const char **argv, struct err *err);
int cmd_trim(int argc, const char **argv, struct err *err);
int cmd_pools(int argc, const char **argv, struct err *err);

#endif
