#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/forward.h"
#include "lib/base/banned.h"

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

int
cmd_forward(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct forward_spec specs[FORWARD_SPECS];
	size_t i, n = 0, want = (size_t)argc - 1;
	int rc;

	if (want > FORWARD_SPECS)
		return cmd_usage(err, "forward: more than %d ports",
			FORWARD_SPECS);
	rc = parse_name(argv[0], "NAME", err);
	while (!rc && n < want) {
		rc = forward_parse(argv[n + 1], &specs[n], err);
		n++;
	}
	if (!rc)
		rc = state_open(&st, err);
	if (!rc)
		rc = run(st, argv[0], specs, want, err);
	for (i = 0; i < n; i++)
		forward_spec_release(&specs[i]);
	return rc ? err_status(err->code) : EXIT_OK;
}
