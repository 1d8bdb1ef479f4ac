#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/detach.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/restart.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static int
restart_one(const char *name, void *arg, struct err *err)
{
	CLEANUP_ARGV struct argv args = ARGV_INIT;
	CLEANUP_BUF struct buf line = BUF_INIT;
	struct state *st = arg;
	int status;

	if (vm_restart_args(st, name, &args, err))
		return -1;
	argv_push(&args, "--again");
	if (detach_self(&args, &line, &status, err))
		return -1;
	if (status)
		return -1;
	puts(name);
	return 0;
}

static int
restart_due(struct state *st, struct err *err)
{
	CLEANUP_ARGV struct argv due = ARGV_INIT;
	int status = EXIT_OK;
	size_t i;

	if (vm_restart_due(st, &due, err))
		return err_status(err->code);
	for (i = 0; i < due.n; i++) {
		const char *name = due.v[i];
		int one = cmd_each(1, &name, "NAME", restart_one, st);

		if (one)
			status = one;
	}
	return status;
}

/* Without names: those marked that are due. */
int
cmd_restart(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err) || vm_repair(st, false, NULL, err))
		return err_status(err->code);
	return argc ? cmd_each(argc, argv, "NAME", restart_one, st) :
		      restart_due(st, err);
}
