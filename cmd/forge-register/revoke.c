#include "cmd/forge-register/forge-register.h"

#include "lib/base/cmd.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/agent.h"
#include "lib/trust/cert.h"
#include "lib/trust/token.h"
#include "lib/base/banned.h"

static char *arg_reason;

const struct poptOption cert_revoke_options[] = {
	{ "reason", 0, POPT_ARG_STRING, &arg_reason, 0,
		"why, for the record", "TEXT" },
	POPT_TABLEEND
};

static int
revoke_token(const char *name, void *arg, struct err *err)
{
	struct db *db;

	return state_db(arg, &db, err) || token_revoke(db, name, err) ? -1 : 0;
}

static int
revoke_cert(const char *name, void *arg, struct err *err)
{
	return cert_revoke(arg, name, arg_reason, err);
}

static int
revoke_agent(const char *name, void *arg, struct err *err)
{
	return agent_revoke(arg, name, err);
}

static int
revoke(int argc, const char **argv, const char *what,
	int (*act)(const char *name, void *arg, struct err *err),
	struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, what, act, st);
}

int
cmd_token_revoke(int argc, const char **argv, struct err *err)
{
	return revoke(argc, argv, "TOKEN", revoke_token, err);
}

int
cmd_cert_revoke(int argc, const char **argv, struct err *err)
{
	return revoke(argc, argv, "SERIAL", revoke_cert, err);
}

int
cmd_agent_revoke(int argc, const char **argv, struct err *err)
{
	return revoke(argc, argv, "AGENT", revoke_agent, err);
}
