#include "cmd/forge-agent/forge-agent.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/log.h"
#include "lib/base/output.h"
#include "lib/runner/member.h"
#include "lib/runner/worker.h"
#include "lib/runner/worker_install.h"
#include "lib/state/state.h"
#include "lib/stream/remote.h"
#include "lib/base/banned.h"

static char *arg_dir, *arg_on, *arg_place;
static int arg_no_start;

const struct poptOption run_options[] = {
	{ "on", 0, POPT_ARG_STRING, &arg_on, 0,
		"at the coordinator: run a command on this agent",
		"AGENT" },
	{ "place", 0, POPT_ARG_STRING, &arg_place, 0,
		"in that place there", "PLACE" },
	POPT_TABLEEND
};
const struct poptOption install_options[] = {
	{ "unit-dir", 0, POPT_ARG_STRING, &arg_dir, 0,
		"where the unit goes (/etc/systemd/system)", "DIR" },
	{ "no-start", 0, POPT_ARG_NONE, &arg_no_start, 0,
		"only write it", NULL },
	POPT_TABLEEND
};

/* A place: what fails before the command begins is 125. */
static int
run_on(const char *const *words, struct err *err)
{
	const struct remote r = { .on = arg_on, .place = arg_place,
		.argv = words };
	CLEANUP_STATE struct state *st = NULL;
	int status = EXIT_PLACE;

	if (state_open(&st, err) || remote_run(st, &r, &status, err))
		return EXIT_PLACE;
	return status;
}

int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	const char **words = cmd_command(&argc, argv);

	if (arg_on && argc)
		return run_on((const char *const *)words, err);
	if (arg_on || arg_place || argc)
		return cmd_usage(err,
			"--on and a command belong together");
	if (state_open(&st, err) || worker_run(st, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	CLEANUP_STATE struct state *st = NULL;
	struct json *o;
	int running;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || member_load(st, &m, err))
		return err_status(err->code);
	running = state_locked(st, "agent", NULL, err);
	if (running < 0)
		return err_status(err->code);
	o = json_object();
	json_put_str(o, "agent", m.id);
	json_put_str(o, "url", m.url);
	json_put_bool(o, "running", running);
	json_put_int(o, "not_before", m.not_before);
	json_put_int(o, "not_after", m.not_after);
	json_put_int(o, "renew_at", member_renew_at(&m));
	return output_one(o, err) ? err_status(err->code) : EXIT_OK;
}

int
cmd_install(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_MEMBER struct member m = MEMBER_INIT;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || member_load(st, &m, err) ||
		worker_install(st, arg_dir, !arg_no_start, err))
		return err_status(err->code);
	return EXIT_OK;
}
