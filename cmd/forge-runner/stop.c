#include "cmd/forge-runner/forge-runner.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/runner/log.h"
#include "lib/runner/runner.h"
#include "lib/runner/stop.h"
#include "lib/runner/sync.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_now, arg_follow, arg_dry;

const struct poptOption stop_options[] = {
	{ "now", 0, POPT_ARG_NONE, &arg_now, 0,
		"end runners that have a job, too", NULL },
	POPT_TABLEEND
};
const struct poptOption logs_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on until the runner is done", NULL },
	POPT_TABLEEND
};
const struct poptOption sync_options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"only say what would be done", NULL },
	POPT_TABLEEND
};

/*
 * The rest is done when one fails; the status is that of the last failure,
 * and each is told.
 */
static int
for_names(int argc, const char **argv,
	int (*act)(struct state *st, const char *name, struct err *err),
	struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	int i, status = EXIT_OK;

	if (state_open(&st, err))
		return err_status(err->code);
	for (i = 0; i < argc; i++) {
		struct err one = ERR_INIT;

		if (parse_name(argv[i], "NAME", &one) ||
			act(st, argv[i], &one))
			status = err_print(&one);
	}
	return status;
}

static int
stop_one(struct state *st, const char *name, struct err *err)
{
	return runner_stop(st, name, arg_now, 60000, err);
}

int
cmd_stop(int argc, const char **argv, struct err *err)
{
	return for_names(argc, argv, stop_one, err);
}

int
cmd_rm(int argc, const char **argv, struct err *err)
{
	return for_names(argc, argv, runner_forget, err);
}

int
cmd_logs(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (state_open(&st, err) || parse_name(argv[0], "NAME", err) ||
		runner_log(st, argv[0], arg_follow, STDOUT_FILENO, err))
		return err_status(err->code);
	return EXIT_OK;
}

static void
tell(const char *line, void *arg)
{
	(void)arg;
	puts(line);
}

int
cmd_sync(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || runner_sync(st, arg_dry, tell, NULL, err))
		return err_status(err->code);
	return EXIT_OK;
}
