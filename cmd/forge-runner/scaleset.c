#include "cmd/forge-runner/forge-runner.h"

#include <signal.h>

#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/runner/scaleset.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

int
cmd_scaleset(int argc, const char **argv, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_CLOSE int stop = -1;

	(void)argc;
	if (signals_open(signals, &stop, err) || state_open(&st, err) ||
		scaleset_serve(st, argv[0], stop, err))
		return err_status(err->code);
	return EXIT_OK;
}
