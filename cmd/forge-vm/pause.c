#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/cmd.h"
#include "lib/state/state.h"
#include "lib/vm/pause.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static int
pause_one(const char *name, void *st, struct err *err)
{
	return vm_pause(st, name, err);
}

static int
resume_one(const char *name, void *st, struct err *err)
{
	return vm_resume(st, name, err);
}

static int
each(int argc, const char **argv,
	int (*one)(const char *name, void *st, struct err *err),
	struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err) || vm_repair(st, false, NULL, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", one, st);
}

int
cmd_pause(int argc, const char **argv, struct err *err)
{
	return each(argc, argv, pause_one, err);
}

int
cmd_resume(int argc, const char **argv, struct err *err)
{
	return each(argc, argv, resume_one, err);
}
