#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/forward.h"
#include "lib/base/banned.h"

static char **arg_reverse;

const struct poptOption forward_options[] = {
	{ "reverse", 'R', POPT_ARG_ARGV, &arg_reverse, 0,
		"a port in the VM, carried to one here; may be repeated",
		"PORT:[ADDR:]HOSTPORT" },
	POPT_TABLEEND
};

static int
run(struct state *st, const char *vm, const struct forward_spec *specs,
	size_t n, struct err *err)
{
	struct forward *f;
	size_t i;
	int rc = 0;

	if (forward_open(st, vm, specs, n, &f, err))
		return -1;
	for (i = 0; i < n; i++)
		puts(forward_name(f, i));
	if (fflush(stdout))
		rc = err_sys(err, "cannot write to stdout");
	if (!rc && forward_loop(f, err))
		rc = err_wrap(err, "VM '%s'", vm);
	forward_close(f);
	return rc;
}

static int
parse(const char **argv, size_t want, struct forward_spec *specs, size_t *ret,
	struct err *err)
{
	char **reverse = arg_reverse;
	size_t n = 0;
	int rc = 0;

	for (; !rc && n < want; n++)
		rc = forward_parse(argv[n], &specs[n], err);
	for (; !rc && reverse && *reverse && n < FORWARD_SPECS; n++)
		rc = forward_parse_reverse(*reverse++, &specs[n], err);
	*ret = n;
	if (!rc && reverse && *reverse)
		rc = err_set(err, ERR_USAGE, "more than %d ports",
			FORWARD_SPECS);
	return rc;
}

int
cmd_forward(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct forward_spec specs[FORWARD_SPECS];
	size_t i, n = 0, want = (size_t)argc - 1;
	int rc;

	if (!want && !arg_reverse)
		return cmd_usage(err, "forward: a port is needed");
	if (want > FORWARD_SPECS)
		return cmd_usage(err, "forward: more than %d ports",
			FORWARD_SPECS);
	rc = parse_name(argv[0], "NAME", err) ||
			parse(argv + 1, want, specs, &n, err) ||
			state_open(&st, err) ||
			run(st, argv[0], specs, n, err) ?
		-1 :
		0;
	for (i = 0; i < n; i++)
		forward_spec_release(&specs[i]);
	return rc ? err_status(err->code) : EXIT_OK;
}
