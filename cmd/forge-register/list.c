#include "cmd/forge-register/forge-register.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/agent.h"
#include "lib/trust/cert.h"
#include "lib/trust/token.h"
#include "lib/base/banned.h"

static int arg_all;

const struct poptOption all_options[] = {
	{ "all", 'a', POPT_ARG_NONE, &arg_all, 0,
		"those that are no good any more, too", NULL },
	POPT_TABLEEND
};

static int
print_all(const struct column *columns, size_t n,
	int (*walk)(struct db *db, int all,
		int (*emit)(struct json *, void *), void *arg,
		struct err *err),
	struct err *err)
{
	CLEANUP_EMITTER struct emitter p = { .err = err };
	CLEANUP_STATE struct state *st = NULL;
	struct db *db;

	if (state_open(&st, err) || state_db(st, &db, err) ||
		output_open(&p.out, columns, n, err) ||
		walk(db, arg_all, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_token_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "TOKEN", "id", 0 },
		{ "STATE", "state", 0 }, { "FOR", "kind", 0 },
		{ "EXPIRES", "expires_at", COLUMN_TIME },
		{ "BY", "created_by", 0 }, { "URL", "url", 0 },
		{ "AGENT", "used_by", 0 } };

	(void)argc;
	(void)argv;
	return print_all(columns, ARRAY_SIZE(columns), token_each, err);
}

int
cmd_cert_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "SERIAL", "serial", 0 },
		{ "KIND", "kind", 0 }, { "STATE", "state", 0 },
		{ "NAME", "name", 0 },
		{ "EXPIRES", "not_after", COLUMN_TIME } };

	(void)argc;
	(void)argv;
	return print_all(columns, ARRAY_SIZE(columns), cert_each, err);
}

int
cmd_agent_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "AGENT", "id", 0 },
		{ "STATE", "state", 0 }, { "KIND", "kind", 0 },
		{ "HOST", "host", 0 },
		{ "VMS", "active", COLUMN_RIGHT },
		{ "MAX", "max_vms", COLUMN_RIGHT },
		{ "LABELS", "labels", 0 }, { "VERSION", "version", 0 },
		{ "SEEN", "seen_at", COLUMN_AGE },
		{ "CERT EXPIRES", "cert_expires_at", COLUMN_TIME } };

	(void)argc;
	(void)argv;
	return print_all(columns, ARRAY_SIZE(columns), agent_each, err);
}
