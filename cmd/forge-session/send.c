#include "cmd/forge-session/forge-session.h"

#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/session/message.h"
#include "lib/session/session.h"
#include "lib/session/wait.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_prompt;
static int arg_no_wait;

const struct poptOption send_options[] = {
	{ "prompt", 'p', POPT_ARG_STRING, &arg_prompt, 0,
		"the message (default: the arguments, or stdin)", "TEXT" },
	POPT_TABLEEND
};
const struct poptOption stop_options[] = {
	{ "no-wait", 0, POPT_ARG_NONE, &arg_no_wait, 0,
		"do not wait for the end", NULL },
	POPT_TABLEEND
};

/* The words with a space between, or all of stdin. */
static int
text(int argc, const char **argv, struct buf *ret, struct err *err)
{
	int i;

	if (arg_prompt && argc)
		return err_set(err, ERR_USAGE,
			"send: --prompt and more text: which of the two?");
	if (arg_prompt)
		buf_adds(ret, arg_prompt);
	for (i = 0; i < argc; i++) {
		if (i)
			buf_addc(ret, ' ');
		buf_adds(ret, argv[i]);
	}
	if (!arg_prompt && !argc &&
		buf_read_fd(ret, STDIN_FILENO, MESSAGE_MAX, "stdin", err))
		return -1;
	buf_rtrim(ret);
	if (!ret->len)
		return err_set(err, ERR_USAGE, "send: the message is empty");
	return 0;
}

int
cmd_send(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf message = BUF_INIT;
	int n = argc - 1;
	const char **rest = cmd_command(&n, argv + 1);
	struct db *db;

	if (text(n, rest, &message, err) ||
		open_session(argv[0], &st, &db, NULL, err) ||
		message_send(st, argv[0], MESSAGE_TEXT, message.s, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
interrupt_one(const char *id, void *st, struct err *err)
{
	if (session_repair(st, id, err))
		return -1;
	return message_send(st, id, MESSAGE_INTERRUPT, NULL, err);
}

int
cmd_interrupt(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "ID", interrupt_one, st);
}

/* One that is over already is no failure. */
static int
stop_one(const char *id, void *arg, struct err *err)
{
	struct state *st = arg;
	CLEANUP_SESSION struct session s = SESSION_INIT;

	if (session_stop(st, id, err))
		return -1;
	if (arg_no_wait)
		return 0;
	return session_wait(st, id, WAIT_OVER, 60000, &s, err);
}

int
cmd_stop(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "ID", stop_one, st);
}
