#include "cmd/forge-session/forge-session.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/session/session.h"
#include "lib/session/worktree_gc.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_all;

const struct poptOption list_options[] = {
	{ "all", 'a', POPT_ARG_NONE, &arg_all, 0, "those that are over, too",
		NULL },
	POPT_TABLEEND
};

int
open_session(const char *id, struct state **st, struct db **db,
	struct session *s, struct err *err)
{
	if (parse_name(id, "ID", err) || state_open(st, err) ||
		state_db(*st, db, err) || session_repair(*st, id, err))
		return -1;
	return s ? session_get(*db, id, s, err) : 0;
}

int
cmd_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "ID", "id", 0 },
		{ "STATE", "state", 0 }, { "PROVIDER", "provider", 0 },
		{ "PLACE", "place", 0 }, { "REPO", "repo", 0 },
		{ "BRANCH", "branch", 0 },
		{ "TURNS", "turns", COLUMN_RIGHT },
		{ "USD", "cost_usd", COLUMN_RIGHT },
		{ "AGE", "created_at", COLUMN_AGE },
		{ "REASON", "reason", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct db *db;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || session_repair(st, NULL, err) ||
		state_db(st, &db, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		session_each(db, arg_all != 0, output_emit, &p, err) ||
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
	if (open_session(argv[0], &st, &db, NULL, err) ||
		session_show(db, argv[0], &row, err) || output_one(row, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
rm_one(const char *id, void *st, struct err *err)
{
	return session_repair(st, id, err) || worktree_forget(st, id, err) ?
		-1 :
		session_forget(st, id, err);
}

int
cmd_rm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "ID", rm_one, st);
}
