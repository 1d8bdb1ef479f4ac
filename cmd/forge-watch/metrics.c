#include "cmd/forge-watch/forge-watch.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/runner/openmetrics.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_file;
static int arg_inetd;

const struct poptOption metrics_options[] = {
	{ "output", 'o', POPT_ARG_STRING, &arg_file, 0,
		"replace FILE with them, all at once", "FILE" },
	{ "inetd", 0, POPT_ARG_NONE, &arg_inetd, 0,
		"answer one HTTP request on stdin and stdout", NULL },
	POPT_TABLEEND
};

static int
print(struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (state_open(&st, err) || openmetrics(st, &text, err))
		return -1;
	/* Readable for all: node_exporter is somebody else. */
	return arg_file ? fs_replace(AT_FDCWD, arg_file, text.s, text.len,
				  0644, err) :
			  output_text(&text, err);
}

int
cmd_metrics(int argc, const char **argv, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)argc;
	(void)argv;
	if (arg_inetd && arg_file)
		return cmd_usage(err, "--inetd and --output exclude each other");
	if (arg_inetd) /* a client may go away: that is an error, no death */
		(void)sigaction(SIGPIPE, &ignore, NULL);
	if (arg_inetd ? openmetrics_serve(STDIN_FILENO, STDOUT_FILENO, err) :
			print(err))
		return err_status(err->code);
	return EXIT_OK;
}
