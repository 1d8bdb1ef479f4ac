/*
 * forge-stream: what holds the agents' streams, and the other end of a place
 * on one of them; lib/stream has both.  Run by forge-watch and by places,
 * not by people.
 */
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/stream/remote.h"
#include "lib/stream/stream.h"
#include "lib/base/banned.h"

static char *arg_fd, *arg_on, *arg_name, *arg_mark, *arg_labels, *arg_scope;
static char *arg_place, *arg_grace;

static const struct poptOption serve_options[] = {
	{ "listen-fd", 0, POPT_ARG_STRING, &arg_fd, 0,
		"serve on this listening socket", "FD" },
	POPT_TABLEEND
};

static const struct poptOption run_options[] = {
	{ "on", 0, POPT_ARG_STRING, &arg_on, 0,
		"an agent's id or host; with --mark, '*' is any", "AGENT" },
	{ "name", 0, POPT_ARG_STRING, &arg_name, 0, "of the runner", "NAME" },
	{ "mark", 0, POPT_ARG_STRING, &arg_mark, 0,
		"make a runner; print this when there is a slot", "WORD" },
	{ "labels", 0, POPT_ARG_STRING, &arg_labels, 0, "of the runner",
		"L1,L2" },
	{ "scope", 0, POPT_ARG_STRING, &arg_scope, 0,
		"where the runner registers", "SCOPE" },
	{ "place", 0, POPT_ARG_STRING, &arg_place, 0,
		"where there", "PLACE" },
	{ "grace", 0, POPT_ARG_STRING, &arg_grace, 0,
		"that the agent may be away", "DURATION" },
	POPT_TABLEEND
};

static int
cmd_serve(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	int64_t fd;

	(void)argc;
	(void)argv;
	if (!arg_fd)
		return cmd_usage(err, "serve needs --listen-fd");
	log_set_level(LOG_INFO);
	if (parse_i64(arg_fd, 0, 1 << 20, "--listen-fd", &fd, err) ||
		state_open(&st, err) || stream_serve(st, (int)fd, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_ARGV struct argv labels = ARGV_INIT;
	struct remote r = { .on = arg_on, .name = arg_name, .mark = arg_mark,
		.labels = &labels, .scope = arg_scope, .place = arg_place };
	int status, rc;

	r.argv = cmd_command(&argc, argv);
	if (!arg_on || (!arg_mark && !argc))
		return cmd_usage(err, "run needs --on, and a command");
	if (arg_labels)
		argv_splitc(&labels, arg_labels, ',');
	if (arg_grace && parse_duration(arg_grace, "--grace", &r.grace, err))
		return EXIT_USAGE;
	if (state_open(&st, err))
		return EXIT_PLACE;
	rc = remote_run(st, &r, &status, err);
	return rc && !status ? EXIT_PLACE : status;
}

static const struct verb verbs[] = {
	{ "serve", "", "serve agents", serve_options, 0, 0, 0, cmd_serve,
		NULL },
	{ "run", "--on AGENT [-- CMD [ARG...]]", "run CMD on an agent",
		run_options, 0, -1, VERB_COMMAND, cmd_run, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-stream",
		"what holds the streams of agents; not for people", verbs,
		ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
