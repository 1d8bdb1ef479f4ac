#include "cmd/forge-session/forge-session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/session/follow.h"
#include "lib/session/message.h"
#include "lib/session/session.h"
#include "lib/session/wait.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_timeout, *arg_since;
static int arg_over, arg_asks;

const struct poptOption wait_options[] = {
	{ "over", 0, POPT_ARG_NONE, &arg_over, 0,
		"until the session is over; idle is not enough", NULL },
	{ "asks", 0, POPT_ARG_NONE, &arg_asks, 0,
		"also when it waits for an answer (status 9)", NULL },
	{ "timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,
		"at most so long (status 5)", "DURATION" },
	POPT_TABLEEND
};
const struct poptOption attach_options[] = {
	{ "since", 0, POPT_ARG_STRING, &arg_since, 0,
		"only events after this number", "N" },
	FORMAT_OPTION,
	POPT_TABLEEND
};

static int
outcome(const struct session *s, struct err *err)
{
	int status = session_exit_status(s);

	if (status)
		(void)err_set(err, ERR_SYS, "session '%s' is %s: %s", s->id,
			session_state_name(s->state),
			s->reason ? s->reason : "it waits for an answer");
	return status;
}

int
cmd_wait(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	int64_t timeout = -1;
	struct db *db;

	(void)argc;
	if ((arg_timeout &&
		    parse_duration(arg_timeout, "--timeout", &timeout, err)) ||
		open_session(argv[0], &st, &db, NULL, err) ||
		session_wait(st, argv[0],
			arg_over ? WAIT_OVER :
			arg_asks ? WAIT_ASK :
				   WAIT_TURN,
			timeout, &s, err))
		return err_status(err->code);
	return outcome(&s, err);
}

/* ---- attach ---- */

struct attached {
	struct state *st;
	const char *id;
	struct buf typed; /* a line that is not whole yet */
};

static int
send_typed(struct attached *a, size_t n, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	buf_add(&text, a->typed.s, n);
	buf_rtrim(&text);
	buf_consume(&a->typed, n);
	if (!text.len)
		return 0;
	return message_send(a->st, a->id, MESSAGE_TEXT, text.s, err);
}

/* The end of what is typed detaches a person, and tells a script nothing. */
static int
read_typed(struct follow_input *in, struct err *err)
{
	struct attached *a = in->arg;
	ssize_t n = buf_read_some(&a->typed, in->fd, MESSAGE_MAX);
	char *newline;

	if (n < 0)
		return err_sys(err, "cannot read stdin");
	while ((newline = memchr(a->typed.s, '\n', a->typed.len)))
		if (send_typed(a, (size_t)(newline + 1 - a->typed.s), err))
			return -1;
	if (n)
		return 0;
	if (send_typed(a, a->typed.len, err))
		return -1;
	if (isatty(in->fd))
		return 1;
	in->fd = -1;
	return 0;
}

int
cmd_attach(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct attached a = { .id = argv[0], .typed = BUF_INIT };
	struct follow_input in = { .fd = STDIN_FILENO, .ready = read_typed,
		.arg = &a };
	struct printer p = PRINTER_INIT;
	int64_t since = 0;
	struct db *db;
	int rc;

	(void)argc;
	if ((arg_since && parse_i64(arg_since, 0, INT64_MAX, "--since", &since,
				  err)) ||
		open_session(argv[0], &st, &db, &s, err) ||
		printer_open(&p, err) ||
		printer_format(&p, isatty(STDOUT_FILENO) ? "text" : "ndjson",
			st, &s, err))
		return err_status(err->code);
	a.st = st;
	rc = session_follow(st, argv[0], since, true, print_lines, &p, &in,
		err);
	buf_release(&a.typed);
	if (printer_close(&p, err) || rc < 0)
		return err_status(err->code);
	if (rc) {
		(void)fprintf(stderr, "[detached from %s, which goes on]\n",
			argv[0]);
		return EXIT_OK;
	}
	session_release(&s);
	return session_get(db, argv[0], &s, err) ? err_status(err->code) :
						   outcome(&s, err);
}
