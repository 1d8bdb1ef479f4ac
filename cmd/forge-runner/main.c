/*
 * forge-runner: ephemeral CI runners at GitHub.  See forge-runner(1).
 */
#include "cmd/forge-runner/forge-runner.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define RUNNERS "forge-runner list -q .name 2>/dev/null"
#define JOBS "forge-runner jobs -q .id 2>/dev/null"

static const struct verb verbs[] = {
	{ "run", "[--pool POOL | --scope SCOPE --labels LIST --place PLACE]",
		"be one runner, for one job, in the foreground", run_options, 0,
		0, 0, cmd_run, NULL },
	{ "start", "[--pool POOL | --scope SCOPE --labels LIST --place PLACE]",
		"the same in the background; print its name", start_options, 0,
		0, 0, cmd_start, NULL },
	{ "list", "", "runners that are alive (--all: every one known)",
		list_options, 0, 0, 0, cmd_list, NULL },
	{ "show", "NAME", "everything about one runner", NULL, 1, 1, 0,
		cmd_show, RUNNERS },
	{ "stop", "NAME...", "remove idle runners (--now: busy ones too)",
		stop_options, 1, -1, 0, cmd_stop, RUNNERS },
	{ "hold", "NAME...", "keep the places of runners that fail, for a look",
		hold_options, 1, -1, 0, cmd_hold, RUNNERS },
	{ "rm", "NAME...", "forget runners that are done", NULL, 1, -1, 0,
		cmd_rm, "forge-runner list --all -q .name 2>/dev/null" },
	{ "logs", "NAME", "what the runner printed", logs_options, 1, 1, 0,
		cmd_logs, "forge-runner list --all -q .name 2>/dev/null" },
	{ "jobs", "", "jobs that wait or run (--all: every one known)",
		jobs_options, 0, 0, 0, cmd_jobs, NULL },
	{ "why", "JOB", "what happened to a job, step by step", NULL, 1, 1, 0,
		cmd_why, JOBS },
	{ "pools", "", "the configured pools and how full they are", NULL, 0,
		0, 0, cmd_pools, NULL },
	{ "trim", "", "end runners that no job waits for", trim_options, 0, 0,
		0, cmd_trim, NULL },
	{ "scaleset", "POOL", "wait for the jobs of a pool's runner scale set",
		NULL, 1, 1, 0, cmd_scaleset,
		"forge-runner pools -q .name 2>/dev/null" },
	{ "check", "", "can we do at GitHub what is configured?", NULL, 0, 0,
		0, cmd_check, NULL },
	{ "garm", "NAME COMMAND [INSTANCE]",
		"execute a garm provider's command by hand", garm_options, 2,
		3, 0, cmd_garm, NULL },
	{ "sync", "", "repair after crashes; with --jobs, after lost webhooks",
		sync_options, 0, 0, 0, cmd_sync, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-runner",
		"ephemeral CI runners at GitHub", verbs, ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
