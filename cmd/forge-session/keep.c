#include "cmd/forge-session/forge-session.h"

#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/parse.h"
#include "lib/session/keeper.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_port, arg_lock = -1;

const struct poptOption keep_options[] = {
	{ "port", 0, POPT_ARG_INT, &arg_port, 0,
		"of 127.0.0.1 here, to be reached there", "PORT" },
	{ "lock-fd", 0, POPT_ARG_INT, &arg_lock, 0,
		"the session's lock, held as long as we live", "FD" },
	POPT_TABLEEND
};

int
cmd_keep(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct keeper_run run = { .id = argv[0], .in = STDIN_FILENO,
		.out = STDOUT_FILENO, .port = arg_port };
	struct err none = ERR_INIT;

	(void)argc;
	if (parse_name(argv[0], "ID", err) || state_open(&st, err))
		return err_status(err->code);
	/* not the programs that we start */
	if (arg_lock >= 0 && fd_cloexec(arg_lock, true)) {
		(void)err_sys(err, "--lock-fd %d", arg_lock);
		return err_status(err->code);
	}
	/* Why it failed is told to who reads our stdout. */
	return keeper_run(st, &run, &none) ? err_status(none.code) : EXIT_OK;
}
