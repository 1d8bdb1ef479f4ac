#include "cmd/forge-watch/forge-watch.h"

#include "lib/base/argv.h"
#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/session/notify.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_follow, arg_test;
static char *arg_since;

const struct poptOption notify_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on with what happens from now on", NULL },
	{ "since", 0, POPT_ARG_STRING, &arg_since, 0,
		"deliver again what came after event SEQ", "SEQ" },
	{ "test", 0, POPT_ARG_NONE, &arg_test, 0,
		"deliver one event of kind 'test' now", NULL },
	POPT_TABLEEND
};

static int
deliver(struct state *st, const char *name, int64_t since, struct err *err)
{
	const struct notify_how how = { .follow = arg_follow, .since = since };

	return arg_test ? notify_test(st, name, err) :
			  notify_run(st, name, &how, err);
}

/* One that fails keeps nobody else from being told. */
static int
deliver_all(struct state *st, const struct argv *names, int64_t since)
{
	int status = EXIT_OK;
	size_t i;

	for (i = 0; i < names->n; i++) {
		struct err err = ERR_INIT;

		if (deliver(st, names->v[i], since, &err))
			status = err_print(&err);
	}
	return status;
}

int
cmd_notify(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	int64_t since = -1;

	if (arg_follow && argc != 1)
		return cmd_usage(err, "--follow needs one CHANNEL");
	if ((arg_since || arg_test) && !argc)
		return cmd_usage(err, "--since and --test need a CHANNEL");
	if (arg_test && (arg_since || arg_follow))
		return cmd_usage(err, "--test goes alone");
	if (arg_since &&
		parse_i64(arg_since, 0, INT64_MAX, "--since", &since, err))
		return err_status(err->code);
	if (state_open(&st, err) || state_config(st, &c, err))
		return err_status(err->code);
	argv_pushv(&names, argv);
	if (!argc)
		notify_names(c, &names);
	return deliver_all(st, &names, since);
}

int
cmd_channels(int argc, const char **argv, struct err *err)
{
	static const struct column cols[] = { { "NAME", "name", 0 },
		{ "STATE", "state", 0 }, { "SEQ", "seq", COLUMN_RIGHT },
		{ "BEHIND", "behind", COLUMN_RIGHT },
		{ "SENT", "sent", COLUMN_RIGHT },
		{ "REFUSED", "refused", COLUMN_RIGHT },
		{ "NEXT TRY", "retry_at", COLUMN_TIME },
		{ "ERROR", "error", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter e = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&e.out, cols, ARRAY_SIZE(cols), err))
		return err_status(err->code);
	if (notify_each(st, output_emit, &e, err))
		return err_status(err->code);
	return output_close(&e.out, err) ? err_status(err->code) : EXIT_OK;
}
