#include "cmd/forge-session/forge-session.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/session/on_ask.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_all, arg_allow, arg_deny, arg_always;
static char *arg_message, *arg_input;
static char **arg_choice;

const struct poptOption asks_options[] = {
	{ "all", 'a', POPT_ARG_NONE, &arg_all, 0,
		"those that were answered or withdrawn, too", NULL },
	POPT_TABLEEND
};

const struct poptOption answer_options[] = {
	{ "allow", 0, POPT_ARG_NONE, &arg_allow, 0, "yes", NULL },
	{ "deny", 0, POPT_ARG_NONE, &arg_deny, 0, "no", NULL },
	{ "message", 0, POPT_ARG_STRING, &arg_message, 0,
		"what the agent is told, too", "TEXT" },
	{ "always", 0, POPT_ARG_NONE, &arg_always, 0,
		"yes, and the same from now on in this session", NULL },
	{ "choice", 0, POPT_ARG_ARGV, &arg_choice, 0,
		"the answer to a question: a number, or text", "CHOICE" },
	{ "input", 0, POPT_ARG_STRING, &arg_input, 0,
		"yes, but with this input of the tool", "JSON" },
	POPT_TABLEEND
};

int
cmd_asks(int argc, const char **argv, struct err *err)
{
	static const struct column cols[] = { { "ID", "id", COLUMN_RIGHT },
		{ "SESSION", "session", 0 }, { "STATE", "state", 0 },
		{ "TOOL", "tool", 0 }, { "SINCE", "created_at", COLUMN_AGE },
		{ "WHAT", "what", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter e = { .err = err };

	if ((argc && parse_name(argv[0], "ID", err)) || state_open(&st, err) ||
		output_open(&e.out, cols, ARRAY_SIZE(cols), err))
		return err_status(err->code);
	if (ask_each(st, argc ? argv[0] : NULL, arg_all, output_emit, &e, err))
		return err_status(err->code);
	return output_close(&e.out, err) ? err_status(err->code) : EXIT_OK;
}

static int
parse_input(struct json **ret, struct err *err)
{
	if (!arg_input)
		return 0;
	if (json_parse(arg_input, strlen(arg_input), ret, err))
		return err_wrap(err, "--input");
	if (!json_is_object(*ret))
		return err_set(err, ERR_USAGE, "--input must be an object");
	return 0;
}

int
cmd_answer(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_JSON struct json *input = NULL;
	struct ask_reply reply = { .allow = !arg_deny, .message = arg_message,
		.choices = (const char *const *)arg_choice,
		.always = arg_always };
	int64_t id;

	(void)argc;
	if (arg_allow + arg_deny > 1 ||
		!(arg_allow || arg_deny || arg_choice || arg_always))
		return cmd_usage(err, "give one of --allow and --deny");
	if (arg_deny && (arg_always || arg_input || arg_choice))
		return cmd_usage(err,
			"--deny goes with --message and nothing else");
	if (parse_i64(argv[0], 1, INT64_MAX, "ASK", &id, err) ||
		parse_input(&input, err))
		return err_status(err->code);
	reply.input = input;
	if (state_open(&st, err) || ask_reply(st, id, &reply, err))
		return err_status(err->code);
	return EXIT_OK;
}
