/* The verbs of forge-vm; each is in the file of its name or group. */
#ifndef FORGE_VM_CMD_H
#define FORGE_VM_CMD_H

#include <popt.h>
#include <stdbool.h>
#include "lib/base/err.h"

struct state;
struct vm_spec;

extern const struct poptOption run_options[];
extern const struct poptOption start_options[];
extern const struct poptOption supervise_options[];
extern const struct poptOption plan_options[];
extern const struct poptOption exec_options[];
extern const struct poptOption console_options[];
extern const struct poptOption cp_options[];
extern const struct poptOption forward_options[];
extern const struct poptOption stop_options[];
extern const struct poptOption wait_options[];
extern const struct poptOption hold_options[];
extern const struct poptOption show_options[];
extern const struct poptOption logs_options[];
extern const struct poptOption doctor_options[];
extern const struct poptOption image_build_options[];
extern const struct poptOption image_import_options[];
extern const struct poptOption browser_options[];
extern const struct poptOption image_gc_options[];
extern const struct poptOption fsck_options[];
extern const struct poptOption setup_options[];

int cmd_run(int argc, const char **argv, struct err *err);
int cmd_start(int argc, const char **argv, struct err *err);
int cmd_supervise(int argc, const char **argv, struct err *err);
int cmd_plan(int argc, const char **argv, struct err *err);
int cmd_exec(int argc, const char **argv, struct err *err);
int cmd_console(int argc, const char **argv, struct err *err);
int cmd_cp(int argc, const char **argv, struct err *err);
int cmd_forward(int argc, const char **argv, struct err *err);
int cmd_metrics(int argc, const char **argv, struct err *err);
int cmd_list(int argc, const char **argv, struct err *err);
int cmd_show(int argc, const char **argv, struct err *err);
int cmd_stop(int argc, const char **argv, struct err *err);
int cmd_destroy(int argc, const char **argv, struct err *err);
int cmd_restart(int argc, const char **argv, struct err *err);
int cmd_hold(int argc, const char **argv, struct err *err);
int cmd_wait(int argc, const char **argv, struct err *err);
int cmd_logs(int argc, const char **argv, struct err *err);
int cmd_lease_list(int argc, const char **argv, struct err *err);
int cmd_lease_take(int argc, const char **argv, struct err *err);
int cmd_lease_release(int argc, const char **argv, struct err *err);
int cmd_doctor(int argc, const char **argv, struct err *err);
int cmd_image_build(int argc, const char **argv, struct err *err);
int cmd_image_import(int argc, const char **argv, struct err *err);
int cmd_image_gc(int argc, const char **argv, struct err *err);
int cmd_browser(int argc, const char **argv, struct err *err);
int cmd_image_list(int argc, const char **argv, struct err *err);
int cmd_image_show(int argc, const char **argv, struct err *err);
int cmd_image_rm(int argc, const char **argv, struct err *err);
int cmd_pause(int argc, const char **argv, struct err *err);
int cmd_resume(int argc, const char **argv, struct err *err);
extern const struct poptOption restore_options[];
int cmd_restore(int argc, const char **argv, struct err *err);
extern const struct poptOption warm_options[];
int cmd_warm(int argc, const char **argv, struct err *err);
int cmd_snapshot_take(int argc, const char **argv, struct err *err);
int cmd_snapshot_list(int argc, const char **argv, struct err *err);
int cmd_snapshot_show(int argc, const char **argv, struct err *err);
int cmd_snapshot_rm(int argc, const char **argv, struct err *err);
int cmd_fsck(int argc, const char **argv, struct err *err);
int cmd_setup(int argc, const char **argv, struct err *err);

/* run.c: how to start it once more, as JSON; caller frees. */
struct vm_boot;
char *supervise_json(struct state *st, const struct vm_boot *boot);

/* ---- warm.c ---- */

int warm_pools(struct state *st, struct err *err)
	__attribute__((warn_unused_result));
/*
 * One that waits and has this shape: 1 and boot is about it, *ret_sock a
 * connection to its supervisor; 0 there is none.
 */
int warm_find(struct state *st, struct vm_boot *boot, bool run, int *ret_sock,
	struct err *err) __attribute__((warn_unused_result));
/* All of `run` in one of those; 1, 0 or -1 likewise. */
int warm_run(struct state *st, struct vm_boot *boot, int *ret_status,
	struct err *err) __attribute__((warn_unused_result));

/* plan.c, for run.c, which has the options of a boot. */
int plan_print(struct state *st, const struct vm_spec *spec, struct err *err)
	__attribute__((warn_unused_result));

#endif
