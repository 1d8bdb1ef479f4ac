#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/lease.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

int
cmd_lease_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "ADDRESS", "address", 0 },
		{ "HOLDER", "holder", 0 }, { "VM", "vm", 0 },
		{ "AGE", "taken_at", COLUMN_AGE } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || vm_repair(st, false, NULL, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		lease_each(st, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_lease_take(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	uint32_t address;
	char text[16];

	(void)argc;
	if (parse_name(argv[0], "HOLDER", err) || state_open(&st, err) ||
		lease_take(st, argv[0], &address, err))
		return err_status(err->code);
	puts(address_format(address, text, sizeof(text)));
	return EXIT_OK;
}

static int
release_one(const char *holder, void *st, struct err *err)
{
	return lease_release(st, holder, err);
}

int
cmd_lease_release(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "HOLDER", release_one, st);
}
