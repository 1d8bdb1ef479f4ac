#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/control.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static char *arg_timeout, *arg_for;

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

static int64_t grace = 10000;

static int
stop_one(const char *name, void *st, struct err *err)
{
	return vm_stop(st, name, grace, err);
}

int
cmd_stop(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (arg_timeout &&
		parse_duration(arg_timeout, "--timeout", &grace, err))
		return err_status(err->code);
	if (grace > 600000)
		grace = 600000;
	if (state_open(&st, err) || vm_repair(st, false, NULL, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", stop_one, st);
}

static int
destroy_one(const char *name, void *st, struct err *err)
{
	return vm_destroy(st, name, err);
}

int
cmd_destroy(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err) || vm_repair(st, false, NULL, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", destroy_one, st);
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
