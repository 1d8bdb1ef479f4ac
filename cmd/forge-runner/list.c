#include "cmd/forge-runner/forge-runner.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/runner/delivery.h"
#include "lib/runner/jobs.h"
#include "lib/runner/fleet.h"
#include "lib/runner/runner.h"
#include "lib/runner/why.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_all;

const struct poptOption list_options[] = {
	{ "all", 'a', POPT_ARG_NONE, &arg_all, 0, "those that are done, too",
		NULL },
	POPT_TABLEEND
};
const struct poptOption jobs_options[] = {
	{ "all", 'a', POPT_ARG_NONE, &arg_all, 0,
		"those that are completed, too", NULL },
	POPT_TABLEEND
};

/* The common shape: a table of what one library function walks over. */
static int
print_all(const struct column *columns, size_t n,
	int (*walk)(struct db *db, int (*emit)(struct json *, void *),
		void *arg, int64_t what, struct err *err),
	int64_t what, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct db *db;

	if (state_open(&st, err) || delivery_catch_up(st, err) ||
		state_db(st, &db, err) ||
		output_open(&p.out, columns, n, err) ||
		walk(db, output_emit, &p, what, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
walk_runners(struct db *db, int (*emit)(struct json *, void *), void *arg,
	int64_t what, struct err *err)
{
	return runner_each(db, what != 0, emit, arg, err);
}

int
cmd_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "STATE", "state", 0 }, { "POOL", "pool", 0 },
		{ "SCOPE", "scope", 0 }, { "REPO", "repo", 0 },
		{ "JOB", "job_name", 0 }, { "RESULT", "result", 0 },
		{ "AGE", "created_at", COLUMN_AGE } };

	(void)argc;
	(void)argv;
	return print_all(columns, ARRAY_SIZE(columns), walk_runners, arg_all,
		err);
}

int
cmd_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row;
	struct db *db;

	(void)argc;
	if (state_open(&st, err) || state_db(st, &db, err) ||
		runner_show(db, argv[0], &row, err) || output_one(row, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
walk_jobs(struct db *db, int (*emit)(struct json *, void *), void *arg,
	int64_t what, struct err *err)
{
	return jobs_each(db, what != 0, emit, arg, err);
}

int
cmd_jobs(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "JOB", "id", COLUMN_RIGHT },
		{ "STATE", "state", 0 }, { "REPO", "repo", 0 },
		{ "WORKFLOW", "workflow", 0 }, { "NAME", "name", 0 },
		{ "LABELS", "labels", 0 }, { "RUNNER", "runner", 0 },
		{ "CONCLUSION", "conclusion", 0 },
		{ "QUEUED", "queued_at", COLUMN_AGE } };

	(void)argc;
	(void)argv;
	return print_all(columns, ARRAY_SIZE(columns), walk_jobs, arg_all,
		err);
}

static int
walk_why(struct db *db, int (*emit)(struct json *, void *), void *arg,
	int64_t what, struct err *err)
{
	return job_why(db, what, emit, arg, err);
}

int
cmd_why(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = {
		{ "TIME", "at", COLUMN_TIME },
		{ "TOOK", "took", COLUMN_DURATION | COLUMN_RIGHT },
		{ "WHAT", "kind", 0 }, { "SUBJECT", "subject", 0 },
		{ "DETAILS", "data", 0 } };
	int64_t job;

	(void)argc;
	if (parse_i64(argv[0], 1, INT64_MAX, "JOB", &job, err))
		return err_status(err->code);
	return print_all(columns, ARRAY_SIZE(columns), walk_why, job, err);
}

int
cmd_pools(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "POOL", "name", 0 },
		{ "SCOPE", "scope", 0 }, { "PLACE", "place", 0 },
		{ "LABELS", "labels", 0 },
		{ "QUEUED", "queued", COLUMN_RIGHT },
		{ "STARTING", "starting", COLUMN_RIGHT },
		{ "IDLE", "idle", COLUMN_RIGHT },
		{ "BUSY", "busy", COLUMN_RIGHT },
		{ "MAX", "max", COLUMN_RIGHT } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_FLEET struct fleet fleet = FLEET_INIT;
	CLEANUP_EMITTER struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || delivery_catch_up(st, err) ||
		fleet_load(st, &fleet, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		fleet_each(&fleet, output_emit, &p) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}
