/*
 * forge-garm: the prefix of the place garm:NAME; lib/runner/garm_place.h has
 * it.  Run by forge-runner, not by people.
 */
#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/runner/garm_place.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static struct garm_run arg;
static int arg_adopt;

static const struct poptOption run_options[] = {
	{ "on", 0, POPT_ARG_STRING, &arg.on, 0, "[garm \"NAME\"]", "NAME" },
	{ "name", 0, POPT_ARG_STRING, &arg.name, 0, "of the runner", "NAME" },
	{ "mark", 0, POPT_ARG_STRING, &arg.mark, 0,
		"what tells the supervisor", "WORD" },
	{ "pool", 0, POPT_ARG_STRING, &arg.pool, 0, "of the runner", "POOL" },
	{ "github", 0, POPT_ARG_STRING, &arg.github, 0,
		"the [github] section", "NAME" },
	{ "scope", 0, POPT_ARG_STRING, &arg.scope, 0,
		"where the runner registers", "SCOPE" },
	{ "labels", 0, POPT_ARG_STRING, &arg.labels, 0, "of the runner",
		"L1,L2" },
	{ "adopt", 0, POPT_ARG_NONE, &arg_adopt, 0,
		"the instance is there already", NULL },
	POPT_TABLEEND
};

static int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	int status;

	(void)argc;
	(void)argv;
	if (!arg.on || !arg.name || !arg.mark || !arg.scope || !arg.labels)
		return cmd_usage(err, "run needs --on, --name, --mark, "
			"--scope and --labels");
	arg.adopt = arg_adopt;
	if (state_open(&st, err))
		return EXIT_PLACE;
	return garm_run(st, &arg, &status, err) && !status ? EXIT_PLACE :
							     status;
}

static const struct verb verbs[] = {
	{ "run", "--on NAME --name RUNNER ... [-- CMD...]",
		"have a garm provider run it", run_options, 0, -1,
		VERB_COMMAND, cmd_run, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-garm",
		"the place garm:NAME; not for people", verbs,
		ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
