#include "cmd/forge-runner/forge-runner.h"

#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/runner/github_check.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

int
cmd_check(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "GITHUB", "github", 0 },
		{ "WHAT", "what", 0 }, { "RESULT", "result", 0 },
		{ "DETAIL", "detail", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	bool good = true;
	int rc;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err))
		return err_status(err->code);
	rc = github_check(st, output_emit, &p, &good, err);
	if (output_close(&p.out, err) || rc)
		return err_status(err->code);
	return good ? EXIT_OK : EXIT_FAILED;
}
