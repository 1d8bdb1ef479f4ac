#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/net_setup.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static int arg_dry, arg_undo;

const struct poptOption setup_options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"tell what would change, change nothing", NULL },
	{ "undo", 0, POPT_ARG_NONE, &arg_undo, 0,
		"take back what setup changed", NULL },
	POPT_TABLEEND
};

static void
print(const char *line)
{
	puts(line);
}

int
cmd_setup(int argc, const char **argv, struct err *err)
{
	int (*act)(struct state *st, bool dry,
		tell_fn *told,
		struct err *err) = arg_undo ? net_setup_undo : net_setup;
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || vm_repair(st, false, NULL, err) ||
		act(st, arg_dry, print, err))
		return err_status(err->code);
	return EXIT_OK;
}
