/* The verbs of forge-vm; each is in the file of its name. */
#ifndef FORGE_VM_CMD_H
#define FORGE_VM_CMD_H

#include <popt.h>
#include "lib/base/err.h"

extern const struct poptOption doctor_options[];
extern const struct poptOption image_build_options[];
extern const struct poptOption fsck_options[];

int cmd_doctor(int argc, const char **argv, struct err *err);
int cmd_image_build(int argc, const char **argv, struct err *err);
int cmd_image_list(int argc, const char **argv, struct err *err);
int cmd_image_show(int argc, const char **argv, struct err *err);
int cmd_image_rm(int argc, const char **argv, struct err *err);
int cmd_fsck(int argc, const char **argv, struct err *err);

#endif
