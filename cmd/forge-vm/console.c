#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/console.h"
#include "lib/vm/exec_client.h"
#include "lib/vm/supervise.h"
#include "lib/base/banned.h"

static int arg_read_only, arg_follow, arg_lines = -1;
static char *arg_since;

const struct poptOption console_options[] = {
	{ "read-only", 'r', POPT_ARG_NONE, &arg_read_only, 0,
		"only read; any number may at once", NULL },
	POPT_TABLEEND
};
const struct poptOption logs_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on until the VM ends", NULL },
	{ "lines", 'n', POPT_ARG_INT, &arg_lines, 0,
		"only the last N lines of it", "N" },
	{ "since", 0, POPT_ARG_STRING, &arg_since, 0,
		"only what came after: 10m ago, or 2026-11-21T05:27:48Z",
		"TIME" },
	POPT_TABLEEND
};

int
cmd_console(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	const bool terminal = isatty(STDIN_FILENO);
	const struct exec_request request = { .env_fd = -1, .tty = true,
		.console = true, .types = !arg_read_only };
	int sock, status;

	(void)argc;
	if (parse_name(argv[0], "NAME", err) || state_open(&st, err) ||
		supervisor_connect(st, argv[0], &sock, err))
		return err_status(err->code);
	if (terminal)
		fprintf(stderr, "The console of '%s'; ^] leaves it.\n",
			argv[0]);
	if (exec_client_run(&request, sock, &status, err))
		return EXIT_FAILED;
	if (terminal)
		fputs("\n", stderr);
	return status;
}

static int
since(int64_t *ret, struct err *err)
{
	int64_t ms;

	*ret = clock_parse(arg_since);
	if (*ret >= 0)
		return 0;
	if (parse_duration(arg_since, "--since", &ms, err))
		return err_set(err, ERR_USAGE,
			"--since: '%.80s' is neither a duration like 10m nor "
			"a time like 2026-11-21T05:27:48Z", arg_since);
	*ret = clock_wall() - ms;
	return 0;
}

int
cmd_logs(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct console_view view = { .follow = arg_follow != 0,
		.lines = arg_lines, .since = -1 };

	(void)argc;
	if (arg_lines < -1)
		return cmd_usage(err, "--lines: %d is not a number of lines",
			arg_lines);
	if (parse_name(argv[0], "NAME", err) ||
		(arg_since && since(&view.since, err)) ||
		state_open(&st, err) ||
		console_print(st, argv[0], &view, STDOUT_FILENO, err))
		return err_status(err->code);
	return EXIT_OK;
}
