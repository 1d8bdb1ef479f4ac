#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/metrics.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static int arg_metrics;

const struct poptOption show_options[] = {
	{ "metrics", 0, POPT_ARG_NONE, &arg_metrics, 0,
		"what it uses: processor, memory, disk, network", NULL },
	POPT_TABLEEND
};

int
cmd_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "STATE", "state", 0 }, { "IMAGE", "image", 0 },
		{ "ADDRESS", "address", 0 }, { "CPUS", "cpus", COLUMN_RIGHT },
		{ "MEMORY_MB", "memory_mb", COLUMN_RIGHT },
		{ "AGE", "created_at", COLUMN_AGE } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct db *db;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || vm_repair(st, false, NULL, err) ||
		state_db(st, &db, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		vm_each(db, output_emit, &p, err) || output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row, *used;
	struct db *db;

	(void)argc;
	if (parse_name(argv[0], "NAME", err) || state_open(&st, err) ||
		vm_repair(st, false, NULL, err) ||
		state_db(st, &db, err) || vm_show(db, argv[0], &row, err))
		return err_status(err->code);
	if (arg_metrics) {
		int rc = vm_metrics(st, row, &used, err);

		json_free(row);
		if (rc)
			return err_status(err->code);
		row = used;
	}
	return output_one(row, err) ? err_status(err->code) : EXIT_OK;
}
