#include "cmd/forge-vm/forge-vm.h"

#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/hold.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static char *arg_for;
static int arg_release;

const struct poptOption hold_options[] = {
	{ "for", 0, POPT_ARG_STRING, &arg_for, 0,
		"hold it that long (until it is released)", "DURATION" },
	{ "release", 0, POPT_ARG_NONE, &arg_release, 0,
		"hold it no more", NULL },
	POPT_TABLEEND
};

static int64_t until = HOLD_FOREVER;

static int
hold_one(const char *name, void *st, struct err *err)
{
	return arg_release ? vm_unhold(st, name, err) :
			     vm_hold(st, name, until, err);
}

int
cmd_hold(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	int64_t ms;

	if (arg_for && arg_release)
		return cmd_usage(err, "--for and --release exclude each "
				      "other");
	if (arg_for) {
		if (parse_duration(arg_for, "--for", &ms, err))
			return err_status(err->code);
		until = clock_wall() + ms;
	}
	if (state_open(&st, err) || vm_repair(st, false, NULL, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", hold_one, st);
}
