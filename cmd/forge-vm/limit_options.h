/*
 * limit_options: the options of run and start that bound what a VM may take
 * of the host, and for how long.
 */
#ifndef FORGE_VM_LIMIT_OPTIONS_H
#define FORGE_VM_LIMIT_OPTIONS_H

#include "lib/base/argv.h"
#include "lib/base/err.h"

struct vm_spec;

#define LIMIT_OPTIONS                                                        \
	{ "pids", 0, POPT_ARG_STRING, &limit_arg_pids, 0,                    \
		"processes and threads on the host", "N" },                  \
		{ "io-weight", 0, POPT_ARG_STRING, &limit_arg_io_weight, 0,  \
			"share of a busy disk, 1 to 10000 (100)", "N" },     \
		{ "disk-rate", 0, POPT_ARG_STRING, &limit_arg_disk_rate, 0,  \
			"bytes a second from and to the disk, each",         \
			"SIZE" },                                            \
		{ "ttl", 0, POPT_ARG_STRING, &limit_arg_ttl, 0,              \
			"end it when it is that old", "DURATION" },          \
	{                                                                    \
		"idle", 0, POPT_ARG_STRING, &limit_arg_idle, 0,              \
			"end it when nobody used it for so long", "DURATION" \
	}

extern char *limit_arg_pids, *limit_arg_io_weight, *limit_arg_disk_rate;
extern char *limit_arg_ttl, *limit_arg_idle;

/* Put what was given into spec.  ERR_USAGE. */
int limit_options_fill(struct vm_spec *spec, struct err *err)
	__attribute__((warn_unused_result));
/* The same as arguments, for the supervisor that start starts. */
void limit_options_args(const struct vm_spec *spec, struct argv *args);

#endif
