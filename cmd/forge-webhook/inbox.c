#include "cmd/forge-webhook/forge-webhook.h"

#include <stdint.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/runner/delivery.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_older;

const struct poptOption prune_options[] = {
	{ "older", 0, POPT_ARG_STRING, &arg_older, 0,
		"received longer ago than this; 7d when not given", "AGE" },
	POPT_TABLEEND
};

int
cmd_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "GUID", "guid", 0 },
		{ "EVENT", "event", 0 }, { "ACTION", "action", 0 },
		{ "HOOK", "hook", 0 }, { "OUTCOME", "outcome", 0 },
		{ "SIZE", "size", COLUMN_SIZE | COLUMN_RIGHT },
		{ "AGE", "received_at", COLUMN_AGE } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct db *db;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || delivery_catch_up(st, err) ||
		state_db(st, &db, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		delivery_each(db, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row;
	struct db *db;

	(void)argc;
	if (state_open(&st, err) || delivery_catch_up(st, err) ||
		state_db(st, &db, err) ||
		delivery_show(db, argv[0], &row, err) || output_one(row, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_replay(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	enum delivery_result result;
	struct json *o;
	struct db *db;

	(void)argc;
	if (state_open(&st, err) || delivery_catch_up(st, err) ||
		state_db(st, &db, err) ||
		delivery_replay(db, argv[0], &result, err))
		return err_status(err->code);
	o = json_object();
	json_put_str(o, delivery_result_name(result), argv[0]);
	return output_one(o, err) ? err_status(err->code) : EXIT_OK;
}

int
cmd_ingest(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct delivery_ingest n;
	struct json *o;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || delivery_ingest(st, &n, err))
		return err_status(err->code);
	if (n.bad)
		warn("%lld files that are no deliveries are now in spool/bad",
			(long long)n.bad);
	o = json_object();
	json_put_int(o, "taken", n.taken);
	json_put_int(o, "duplicates", n.duplicates);
	json_put_int(o, "bad", n.bad);
	return output_one(o, err) ? err_status(err->code) : EXIT_OK;
}

int
cmd_prune(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	int64_t age = INT64_C(7) * 24 * 3600 * 1000;
	struct json *o;
	struct db *db;
	int n;

	(void)argc;
	(void)argv;
	if ((arg_older && parse_duration(arg_older, "--older", &age, err)) ||
		state_open(&st, err) || state_db(st, &db, err) ||
		delivery_prune(db, age, &n, err))
		return err_status(err->code);
	o = json_object();
	json_put_int(o, "pruned", n);
	return output_one(o, err) ? err_status(err->code) : EXIT_OK;
}
