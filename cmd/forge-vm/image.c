#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/image.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define GC_AGE ((int64_t)30 * 24 * 60 * 60 * 1000)

static char *arg_older_than;
static int arg_dry;

const struct poptOption image_gc_options[] = {
	{ "older-than", 0, POPT_ARG_STRING, &arg_older_than, 0,
		"not used for that long (30d)", "DURATION" },
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"tell what would be removed, remove nothing", NULL },
	POPT_TABLEEND
};

int
cmd_image_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "STATE", "state", 0 }, { "BASE", "base", 0 },
		{ "SIZE", "size", COLUMN_SIZE | COLUMN_RIGHT },
		{ "AGE", "created_at", COLUMN_AGE },
		{ "DIGEST", "digest", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		image_each(st, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_image_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row;

	(void)argc;
	if (state_open(&st, err) || image_show(st, argv[0], &row, err) ||
		output_one(row, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
remove_one(const char *name, void *st, struct err *err)
{
	return image_remove(st, name, err);
}

int
cmd_image_rm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", remove_one, st);
}

static void
print(const char *line)
{
	puts(line);
}

int
cmd_image_gc(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct image_gc gc = { .older_than = GC_AGE, .dry = arg_dry,
		.found = print };

	(void)argc;
	(void)argv;
	if ((arg_older_than &&
		    parse_duration(arg_older_than, "--older-than",
			    &gc.older_than, err)) ||
		state_open(&st, err) || vm_repair(st, false, NULL, err) ||
		image_collect(st, &gc, err))
		return err_status(err->code);
	return EXIT_OK;
}
