#include "cmd/forge-session/forge-session.h"

#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/session/follow.h"
#include "lib/session/session.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_since;
static int arg_follow;

const struct poptOption log_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on until the session is over", NULL },
	{ "since", 0, POPT_ARG_STRING, &arg_since, 0,
		"only events after this number", "N" },
	FORMAT_OPTION,
	POPT_TABLEEND
};

int
cmd_log(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct printer p = PRINTER_INIT;
	int64_t since = 0;
	struct db *db;
	int rc;

	(void)argc;
	if ((arg_since && parse_i64(arg_since, 0, INT64_MAX, "--since", &since,
				  err)) ||
		open_session(argv[0], &st, &db, &s, err) ||
		printer_open(&p, err) ||
		printer_format(&p, "ndjson", st, &s, err))
		return err_status(err->code);
	rc = session_follow(st, argv[0], since, arg_follow != 0, print_lines,
		&p, NULL, err);
	if (printer_close(&p, err) || rc)
		return err_status(err->code);
	return EXIT_OK;
}
