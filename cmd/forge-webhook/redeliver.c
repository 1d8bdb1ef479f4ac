#include "cmd/forge-webhook/forge-webhook.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/runner/redeliver.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_since;
static int arg_all, arg_ask, arg_dry;

const struct poptOption redeliver_options[] = {
	{ "since", 0, POPT_ARG_STRING, &arg_since, 0,
		"look back so far, not from where the last one ended", "AGE" },
	{ "all", 'a', POPT_ARG_NONE, &arg_all, 0,
		"those that succeeded, too, when they are not here", NULL },
	{ "ask", 0, POPT_ARG_NONE, &arg_ask, 0,
		"have GitHub send them again, instead of taking them", NULL },
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"only list them", NULL },
	POPT_TABLEEND
};

static void
failed(const char *line)
{
	warn("%s", line);
}

int
cmd_redeliver(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "GUID", "guid", 0 },
		{ "ACTION", "action", 0 }, { "GITHUB", "github", 0 },
		{ "STATUS", "status", 0 }, { "AGE", "delivered_at", COLUMN_AGE },
		{ "OUTCOME", "outcome", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	struct redeliver what = { .all = arg_all, .ask = arg_ask,
		.dry = arg_dry };
	CLEANUP_EMITTER struct emitter p = { .err = err };
	int rc;

	(void)argc;
	(void)argv;
	if ((arg_since && parse_duration(arg_since, "--since", &what.since,
			err)) ||
		state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err))
		return err_status(err->code);
	rc = redeliver(st, &what, output_emit, &p, failed, err);
	if (output_close(&p.out, err) || rc)
		return err_status(err->code);
	return EXIT_OK;
}
