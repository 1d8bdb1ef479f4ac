#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/console.h"
#include "lib/vm/control.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static char *arg_timeout, *arg_for;
static int arg_follow;

const struct poptOption stop_options[] = {
	{ "timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,
		"kill what has not ended by then (10s)", "DURATION" },
	POPT_TABLEEND
};
const struct poptOption wait_options[] = {
	{ "for", 0, POPT_ARG_STRING, &arg_for, 0,
		"ready or stopped (stopped)", "WHAT" },
	{ "timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,
		"give up then, with status 5", "DURATION" },
	POPT_TABLEEND
};
const struct poptOption logs_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on until the VM ends", NULL },
	POPT_TABLEEND
};

/*
 * The rest is done when one fails; each failure is told, the status is that
 * of the last.
 */
static int
for_names(int argc, const char **argv,
	int (*act)(struct state *st, const char *name, struct err *err),
	struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	int i, status = EXIT_OK;

	if (state_open(&st, err) || vm_repair(st, false, NULL, NULL, err))
		return err_status(err->code);
	for (i = 0; i < argc; i++) {
		struct err one = ERR_INIT;

		if (parse_name(argv[i], "NAME", &one) ||
			act(st, argv[i], &one))
			status = err_print(&one);
	}
	return status;
}

static int64_t grace = 10000;

static int
stop_one(struct state *st, const char *name, struct err *err)
{
	return vm_stop(st, name, grace, err);
}

int
cmd_stop(int argc, const char **argv, struct err *err)
{
	if (arg_timeout &&
		parse_duration(arg_timeout, "--timeout", &grace, err))
		return err_status(err->code);
	if (grace > 600000)
		grace = 600000;
	return for_names(argc, argv, stop_one, err);
}

int
cmd_destroy(int argc, const char **argv, struct err *err)
{
	return for_names(argc, argv, vm_destroy, err);
}

int
cmd_wait(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	bool stopped = !arg_for || !strcmp(arg_for, "stopped");
	int64_t deadline = -1, ms;

	(void)argc;
	if (!stopped && strcmp(arg_for, "ready") != 0)
		return cmd_usage(err, "--for: '%.40s' is neither ready nor "
				      "stopped", arg_for);
	if (arg_timeout) {
		if (parse_duration(arg_timeout, "--timeout", &ms, err))
			return err_status(err->code);
		deadline = clock_mono() + ms;
	}
	if (parse_name(argv[0], "NAME", err) || state_open(&st, err) ||
		vm_wait(st, argv[0], stopped, deadline, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_logs(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (parse_name(argv[0], "NAME", err) || state_open(&st, err) ||
		console_print(st, argv[0], arg_follow, STDOUT_FILENO, err))
		return err_status(err->code);
	return EXIT_OK;
}
