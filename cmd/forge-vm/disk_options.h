/*
 * disk_options: the options of a VM's disks, for run.c.
 */
#ifndef FORGE_VM_DISK_OPTIONS_H
#define FORGE_VM_DISK_OPTIONS_H

#include "lib/base/argv.h"
#include "lib/vm/disk.h"

#define DISK_OPTIONS                                                         \
	{ "disk", 0, POPT_ARG_STRING, &disk_arg_size, 0,                     \
		"let what it writes go to a disk of that size", "SIZE" },    \
		{ "disk-base", 0, POPT_ARG_STRING, &disk_arg_base, 0,        \
			"likewise, to a clone of this ext4 file", "FILE" },  \
	{                                                                    \
		"user-data", 0, POPT_ARG_STRING, &disk_arg_user_data, 0,     \
			"give it a NoCloud seed with this for cloud-init",   \
			"FILE"                                               \
	}

extern char *disk_arg_size, *disk_arg_base, *disk_arg_user_data;

int disk_options_fill(struct disk_spec *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The same options again, for the supervisor of a started VM. */
void disk_options_push(const struct disk_spec *s, struct argv *a);

#endif
