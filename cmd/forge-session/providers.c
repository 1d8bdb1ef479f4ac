#include "cmd/forge-session/forge-session.h"

#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/session/provider.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

int
cmd_providers(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "PROCESS", "process", 0 }, { "SUMMARY", "summary", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		provider_each(st, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_models(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "ID", "id", 0 },
		{ "NAME", "name", 0 }, { "DEFAULT", "default", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
	CLEANUP_OUTPUT struct output *out = NULL;
	size_t i;

	(void)argc;
	if (state_open(&st, err) || provider_load(st, argv[0], &p, err) ||
		output_open(&out, columns, ARRAY_SIZE(columns), err))
		return err_status(err->code);
	for (i = 0; i < json_len(p.models, ""); i++)
		if (output_row(out, json_at(p.models, i), err))
			return err_status(err->code);
	return output_close(&out, err) ? err_status(err->code) : EXIT_OK;
}
