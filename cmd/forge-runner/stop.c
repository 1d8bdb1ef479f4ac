#include "cmd/forge-runner/forge-runner.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/parse.h"
#include "lib/runner/fleet.h"
#include "lib/runner/garm_sweep.h"
#include "lib/runner/log.h"
#include "lib/runner/orphan.h"
#include "lib/runner/poll.h"
#include "lib/runner/prune.h"
#include "lib/runner/runner.h"
#include "lib/runner/stop.h"
#include "lib/runner/sync.h"
#include "lib/runner/version.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_for;
static int arg_diag, arg_now, arg_follow, arg_dry, arg_jobs;

const struct poptOption stop_options[] = {
	{ "now", 0, POPT_ARG_NONE, &arg_now, 0,
		"end runners that have a job, too", NULL },
	POPT_TABLEEND
};
const struct poptOption logs_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on until the runner is done", NULL },
	{ "diag", 0, POPT_ARG_NONE, &arg_diag, 0,
		"the archive of its diagnostics, as a tar.gz", NULL },
	POPT_TABLEEND
};
const struct poptOption sync_options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"only say what would be done", NULL },
	{ "jobs", 0, POPT_ARG_NONE, &arg_jobs, 0,
		"ask GitHub for jobs that no webhook told of, and orphans",
		NULL },
	POPT_TABLEEND
};
const struct poptOption trim_options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"only say what would be done", NULL },
	POPT_TABLEEND
};
const struct poptOption hold_options[] = {
	{ "for", 0, POPT_ARG_STRING, &arg_for, 0,
		"so long, from now when it is held (30m); 0: not", "DURATION" },
	POPT_TABLEEND
};

static int
stop_one(const char *name, void *st, struct err *err)
{
	return runner_stop(st, name, arg_now, 60000, err);
}

int
cmd_stop(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", stop_one, st);
}

static int
rm_one(const char *name, void *st, struct err *err)
{
	return runner_forget(st, name, err);
}

int
cmd_rm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", rm_one, st);
}

int
cmd_logs(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (state_open(&st, err) || parse_name(argv[0], "NAME", err) ||
		(arg_diag ? runner_diag(st, argv[0], STDOUT_FILENO, err) :
			    runner_log(st, argv[0], arg_follow, STDOUT_FILENO,
				    err)))
		return err_status(err->code);
	return EXIT_OK;
}

static void
print(const char *line)
{
	puts(line);
}

int
cmd_sync(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	(void)argv;
	if (state_open(&st, err))
		return err_status(err->code);
	if (arg_jobs ? poll_jobs(st, arg_dry, print, err) ||
			orphans_sweep(st, arg_dry, print, err) ||
			garm_orphans(st, arg_dry, print, err) :
		       runner_sync(st, arg_dry, print, err) ||
			garm_sweep(st, arg_dry, print, err) ||
			runner_prune(st, arg_dry, print, err) ||
			version_check(st, arg_dry, print, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_trim(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_FLEET struct fleet fleet = FLEET_INIT;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || fleet_load(st, &fleet, err) ||
		fleet_trim(st, &fleet, arg_dry, print, err))
		return err_status(err->code);
	return EXIT_OK;
}

struct hold {
	struct db *db;
	int64_t ms;
};

static int
hold_one(const char *name, void *arg, struct err *err)
{
	const struct hold *h = arg;

	return runner_hold(h->db, name, h->ms, err);
}

int
cmd_hold(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct hold h = { .ms = 30 * 60 * 1000 };

	if ((arg_for && parse_duration(arg_for, "--for", &h.ms, err)) ||
		state_open(&st, err) || state_db(st, &h.db, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", hold_one, &h);
}
