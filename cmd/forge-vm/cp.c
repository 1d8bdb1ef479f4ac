#include "cmd/forge-vm/forge-vm.h"

#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/cp.h"
#include "lib/base/banned.h"

static char *arg_user, *arg_max_size;
static int arg_devices;

const struct poptOption cp_options[] = {
	{ "user", 'u', POPT_ARG_STRING, &arg_user, 0,
		"read or write as this user of the VM", "USER" },
	{ "devices", 0, POPT_ARG_NONE, &arg_devices, 0,
		"device nodes and FIFOs too (root)", NULL },
	{ "max-size", 0, POPT_ARG_STRING, &arg_max_size, 0,
		"fail when more than this comes from the VM", "SIZE" },
	POPT_TABLEEND
};

static int
fill(const char **argv, struct cp *cp, struct err *err)
{
	int64_t max;

	if (cp_parse(argv[0], argv[1], cp, err))
		return -1;
	if (arg_max_size) {
		if (parse_size(arg_max_size, 0, INT64_MAX, "--max-size", &max,
			    err))
			return -1;
		cp->max = (uint64_t)max;
	}
	cp->user = arg_user;
	cp->flags = arg_devices ? CP_DEVICES : 0;
	return 0;
}

int
cmd_cp(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf notes = BUF_INIT;
	struct cp cp;
	char *line, *rest;
	int rc;

	(void)argc;
	rc = fill(argv, &cp, err) || state_open(&st, err) ||
		cp_run(st, &cp, &notes, err);
	cp_release(&cp);
	for (rest = notes.s; (line = strsep(&rest, "\n"));) {
		err_clean(line);
		if (*line)
			warn("%s", line);
	}
	return rc ? err_status(err->code) : EXIT_OK;
}
