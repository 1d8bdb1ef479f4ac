#include "cmd/forge-register/forge-register.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/agent.h"
#include "lib/trust/ca.h"
#include "lib/trust/csr.h"
#include "lib/trust/token.h"
#include "lib/base/banned.h"

static char *arg_ttl, *arg_for, *arg_host;
static int arg_pem;

#define TTL                                                        \
	{ "ttl", 0, POPT_ARG_STRING, &arg_ttl, 0,                  \
		"the certificate is good so long (365d)", "DURATION" }

const struct poptOption sign_options[] = {
	TTL,
	{ "for", 0, POPT_ARG_STRING, &arg_for, 0,
		"the kind of agent: vm (default), tart, proxmox", "KIND" },
	{ "host", 0, POPT_ARG_STRING, &arg_host, 0,
		"its host, instead of the request's common name", "NAME" },
	POPT_TABLEEND
};
const struct poptOption cert_renew_options[] = { TTL, POPT_TABLEEND };
const struct poptOption cert_show_options[] = {
	{ "pem", 0, POPT_ARG_NONE, &arg_pem, 0,
		"the certificate itself", NULL },
	POPT_TABLEEND
};

static int
take_ttl(int64_t *ret, struct err *err)
{
	*ret = CERT_TTL;
	return arg_ttl ? parse_duration(arg_ttl, "--ttl", ret, err) : 0;
}

static int
print_cert(const char *agent, const struct cert *c, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct json *o;

	if (!common.json && !common.filter) {
		buf_adds(&text, c->pem);
		return output_text(&text, err);
	}
	o = json_object();
	if (agent)
		json_put_str(o, "agent", agent);
	json_put_str(o, "serial", c->serial);
	json_put_int(o, "not_before", c->not_before);
	json_put_int(o, "not_after", c->not_after);
	json_put_str(o, "pem", c->pem);
	return output_one(o, err);
}

int
cmd_sign(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf csr = BUF_INIT;
	CLEANUP_CERT struct cert c = CERT_INIT;
	CLEANUP_CA struct ca *ca = NULL;
	CLEANUP_FREE char *id = NULL;
	int64_t ttl;

	(void)argc;
	if (take_ttl(&ttl, err) ||
		(arg_for && token_kind(arg_for, "--for", err)) ||
		read_input(argv[0], CSR_MAX, &csr, err) ||
		state_open(&st, err) || ca_open(st, &ca, err) ||
		agent_sign(st, ca, arg_for ? arg_for : "vm", arg_host, csr.s,
			csr.len, ttl, &id, &c, err) ||
		print_cert(id, &c, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_cert_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf pem = BUF_INIT;
	CLEANUP_JSON struct json *row = NULL;
	struct db *db;

	(void)argc;
	if (state_open(&st, err) || state_db(st, &db, err) ||
		cert_show(db, argv[0], &row, err))
		return err_status(err->code);
	if (arg_pem)
		buf_adds(&pem, json_str(row, "pem", ""));
	if (arg_pem ? output_text(&pem, err) :
			output_one(steal_ptr(&row), err))
		return err_status(err->code);
	return EXIT_OK;
}

/* The listener's: a new key, too, since it is here. */
static int
renew_server(struct state *st, struct err *err)
{
	CLEANUP_BUF struct buf pem = BUF_INIT;

	if (cert_server(st, NULL, true, NULL, err) ||
		fs_read(state_dir(st), "trust/server.crt", PEM_MAX, &pem, err))
		return -1;
	return output_text(&pem, err);
}

int
cmd_cert_renew(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_CERT struct cert c = CERT_INIT;
	int64_t ttl;

	(void)argc;
	if (take_ttl(&ttl, err) || state_open(&st, err) ||
		(!strcmp(argv[0], "server") ?
				renew_server(st, err) :
				(cert_renew(st, argv[0], ttl, &c, err) ||
					print_cert(NULL, &c, err))))
		return err_status(err->code);
	return EXIT_OK;
}
