#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/state/state.h"
#include "lib/vm/openmetrics.h"
#include "lib/base/banned.h"

int
cmd_metrics(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || vm_openmetrics(st, &text, err) ||
		output_text(&text, err))
		return err_status(err->code);
	return EXIT_OK;
}
