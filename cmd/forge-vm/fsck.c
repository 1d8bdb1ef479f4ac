#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/image.h"
#include "lib/vm/net.h"
#include "lib/vm/snapshot.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static int arg_dry;

const struct poptOption fsck_options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"tell what is wrong, change nothing", NULL },
	POPT_TABLEEND
};

static void
print(const char *line)
{
	puts(line);
}

int
cmd_fsck(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || vm_fsck(st, arg_dry, print, err) ||
		snapshot_fsck(st, arg_dry, print, err) ||
		image_fsck(st, arg_dry, print, err) ||
		net_fsck(st, arg_dry, print, err))
		return err_status(err->code);
	return EXIT_OK;
}
