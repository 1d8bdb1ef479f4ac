#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/browser.h"
#include "lib/base/banned.h"

static char *arg_listen, *arg_timeout;

const struct poptOption browser_options[] = {
	{ "listen", 'l', POPT_ARG_STRING, &arg_listen, 0,
		"be there (default: any free port of 127.0.0.1)",
		"[ADDR:]PORT" },
	{ "timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,
		"fail when it does not answer by then (60s)", "DURATION" },
	POPT_TABLEEND
};

static int
print(const struct browser *b, struct err *err)
{
	const struct json *answer = browser_answer(b);

	if (common.json || common.filter) {
		if (output_one(json_get(answer, ""), err))
			return -1;
	} else {
		puts(json_str(answer, "url", ""));
	}
	return fflush(stdout) ? err_sys(err, "cannot write to stdout") : 0;
}

int
cmd_browser(int argc, const char **argv, struct err *err)
{
	struct browser_spec spec = { .vm = argv[0], .listen = arg_listen,
		.timeout = 60000 };
	CLEANUP_STATE struct state *st = NULL;
	struct browser *b;
	int rc;

	(void)argc;
	if (parse_name(argv[0], "NAME", err) ||
		(arg_timeout && parse_duration(arg_timeout, "--timeout",
			&spec.timeout, err)) ||
		state_open(&st, err) || browser_open(st, &spec, &b, err))
		return err_status(err->code);
	rc = print(b, err) || browser_wait(b, err);
	browser_close(b);
	return rc ? err_status(err->code) : EXIT_OK;
}
