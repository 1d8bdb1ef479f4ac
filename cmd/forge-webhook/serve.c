#include "cmd/forge-webhook/forge-webhook.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/runner/receive.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_event, *arg_delivery, *arg_signature;
static int arg_unsigned;

const struct poptOption accept_options[] = {
	{ "delivery", 0, POPT_ARG_STRING, &arg_delivery, 0,
		"the delivery's id (X-GitHub-Delivery)", "GUID" },
	{ "event", 0, POPT_ARG_STRING, &arg_event, 0,
		"X-GitHub-Event; workflow_job when not given", "EVENT" },
	{ "signature", 0, POPT_ARG_STRING, &arg_signature, 0,
		"X-Hub-Signature-256 of the body", "SIGNATURE" },
	{ "unsigned", 0, POPT_ARG_NONE, &arg_unsigned, 0,
		"take it without a signature", NULL },
	POPT_TABLEEND
};

/* Traditional inetd makes the client our stderr too: not who should read it.
 * What was said there goes to syslog instead. */
static bool
hide_stderr(const char *name)
{
	struct stat out, errors;
	int null;

	if (fstat(STDOUT_FILENO, &out) || fstat(STDERR_FILENO, &errors) ||
		!S_ISSOCK(errors.st_mode) || out.st_dev != errors.st_dev ||
		out.st_ino != errors.st_ino)
		return false;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		(void)close(STDERR_FILENO); /* silent, rather than wrong */
	if (null >= 0)
		(void)close(null); /* fd 2 is its copy */
	openlog(name, LOG_PID, LOG_DAEMON);
	return true;
}

static int
serve(bool cgi, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct err log = ERR_INIT;
	bool hidden = !cgi && hide_stderr(program_name);
	struct web w;
	int rc;

	/* A client that went away must not end us before the commit. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	web_open(&w, cgi, STDIN_FILENO, STDOUT_FILENO);
	rc = receive(&w, &log, err);
	web_close(&w);
	if (log.code && hidden)
		syslog(LOG_WARNING, "%s", log.msg);
	else if (log.code)
		(void)err_print(&log);
	return rc ? err_status(err->code) : EXIT_OK;
}

int
cgi_main(const char *name)
{
	struct err err = ERR_INIT;

	main_init(name);
	return serve(true, &err) ? err_print(&err) : EXIT_OK;
}

int
cmd_inetd(int argc, const char **argv, struct err *err)
{
	(void)argc;
	(void)argv;
	return serve(false, err);
}

static int
check(struct state *st, const struct buf *body, char **hook, struct err *err)
{
	return arg_unsigned ? 0 : receive_verify(st, arg_signature, body->s,
		body->len, hook, err);
}

int
cmd_accept(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_FREE char *hook = NULL;
	struct delivery d = { .event = "workflow_job",
		.guid = arg_delivery, .received_at = clock_wall() };
	struct err log = ERR_INIT;
	struct json *answer;
	int status;

	(void)argc;
	(void)argv;
	if (!arg_delivery)
		return cmd_usage(err, "--delivery is needed");
	if (!arg_signature == !arg_unsigned)
		return cmd_usage(err, "give --signature or --unsigned");
	if (state_open(&st, err) ||
		buf_read_fd(&body, STDIN_FILENO, 25 * 1024 * 1024, "stdin",
			err) ||
		check(st, &body, &hook, err))
		return err_status(err->code);
	d.event = arg_event ? arg_event : d.event;
	d.hook = hook;
	d.body = body.s;
	d.n = body.len;
	if (receive_store(st, &d, false, &status, &answer, &log, err))
		return err_status(err->code);
	if (log.code)
		(void)err_print(&log);
	return output_one(answer, err) ? err_status(err->code) : EXIT_OK;
}
