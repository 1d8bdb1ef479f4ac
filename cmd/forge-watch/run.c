#include "cmd/forge-watch/forge-watch.h"

#include "lib/base/cmd.h"
#include "lib/base/log.h"
#include "lib/base/output.h"
#include "lib/runner/watch.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_once, arg_log_json;

const struct poptOption run_options[] = {
	{ "once", 0, POPT_ARG_NONE, &arg_once, 0,
		"one sweep and one decision, then exit (for cron)", NULL },
	{ "log-json", 0, POPT_ARG_NONE, &arg_log_json, 0,
		"log as JSON Lines", NULL },
	POPT_TABLEEND
};

int
cmd_run(int argc, const char **argv, struct err *err)
{
	(void)argc;
	(void)argv;
	log_set_json(arg_log_json);
	if (watch_run(arg_once, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_status(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *status;
	int running;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || watch_status(st, &status, err))
		return err_status(err->code);
	running = json_bool(status, "running", false);
	if (output_one(status, err))
		return err_status(err->code);
	return running ? EXIT_OK : EXIT_FAILED;
}
