#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/snapshot.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

int
cmd_snapshot_take(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (parse_name(argv[0], "NAME", err) ||
		parse_name(argv[1], "SNAPSHOT", err) || state_open(&st, err) ||
		vm_repair(st, false, NULL, err) ||
		vm_snapshot(st, argv[0], argv[1], err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_snapshot_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "IMAGE", "image", 0 }, { "VM", "vm", 0 },
		{ "SIZE", "size", COLUMN_SIZE },
		{ "AGE", "created_at", COLUMN_AGE } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		snapshot_each(st, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_snapshot_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row;

	(void)argc;
	if (parse_name(argv[0], "SNAPSHOT", err) || state_open(&st, err) ||
		snapshot_show(st, argv[0], &row, err) || output_one(row, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
rm_one(const char *name, void *st, struct err *err)
{
	return snapshot_rm(st, name, err);
}

int
cmd_snapshot_rm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err) || vm_repair(st, false, NULL, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "SNAPSHOT", rm_one, st);
}
