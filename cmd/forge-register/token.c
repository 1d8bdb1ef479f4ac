#include "cmd/forge-register/forge-register.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/trust/bundle.h"
#include "lib/trust/ca.h"
#include "lib/trust/cert.h"
#include "lib/trust/token.h"
#include "lib/base/banned.h"

static char *arg_ttl, *arg_url, *arg_for;
static int arg_public;

const struct poptOption token_create_options[] = {
	{ "ttl", 0, POPT_ARG_STRING, &arg_ttl, 0,
		"it can be used so long (1h)", "DURATION" },
	{ "url", 0, POPT_ARG_STRING, &arg_url, 0,
		"where the agent dials (agents.url)", "URL" },
	{ "for", 0, POPT_ARG_STRING, &arg_for, 0,
		"only for such an agent: vm, tart, proxmox", "KIND" },
	{ "public-ca", 0, POPT_ARG_NONE, &arg_public, 0,
		"the URL has a certificate of a public CA", NULL },
	POPT_TABLEEND
};
/* Who asks, for the list. */
static char *
asker(void)
{
	const char *name = getenv("SUDO_USER");
	char *login = name && *name ? NULL : getlogin();

	return xstrdup(name && *name ? name : login ? login : "-");
}

static int
find_url(struct state *st, char **ret, struct err *err)
{
	CLEANUP_FREE char *part = NULL;
	char host[256] = "";
	struct config *config;
	const char *url;
	int port;

	if (state_config(st, &config, err))
		return -1;
	url = arg_url ? arg_url :
			config_str(config, "agents", NULL, "url", NULL);
	if (url)
		*ret = xstrdup(url);
	else if (!gethostname(host, sizeof(host) - 1) && *host)
		*ret = xasprintf("https://%s:9443", host);
	else
		return err_set(err, ERR_USAGE, "--url is needed");
	if (!bundle_url(*ret, &part, &port, err))
		return 0;
	if (arg_url)
		err->code = ERR_USAGE;
	return -1;
}

/* The listener must have a certificate for where they will dial. */
static int
settle(struct state *st, struct err *err)
{
	return arg_public ? 0 : cert_server(st, NULL, false, NULL, err);
}

static int
print_bundle(struct state *st, const char *token, const char *url,
	struct err *err)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_BUNDLE struct bundle b = BUNDLE_INIT;
	CLEANUP_BUF struct buf ca = BUF_INIT;
	struct json *o;

	if (ca_trusted(st, &ca, err))
		return -1;
	b.token = xstrdup(token);
	b.url = xstrdup(url);
	b.ca = arg_public ? NULL : buf_detach(&ca);
	bundle_write(&b, &text);
	if (common.json || common.filter) {
		o = json_object();
		json_put_str(o, "bundle", text.s);
		json_put_str(o, "url", url);
		return output_one(o, err);
	}
	buf_addc(&text, '\n');
	return output_text(&text, err);
}

int
cmd_token_create(int argc, const char **argv, struct err *err)
{
	CLEANUP_FREE char *url = NULL, *by = asker(), *token = NULL;
	struct token_new t = { .by = by, .kind = arg_for, .ttl_ms = 3600000 };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_CA struct ca *ca = NULL;
	struct db *db;

	(void)argc;
	(void)argv;
	if ((arg_ttl && parse_duration(arg_ttl, "--ttl", &t.ttl_ms, err)) ||
		(arg_for && token_kind(arg_for, "--for", err)) ||
		state_open(&st, err) || state_db(st, &db, err) ||
		ca_open(st, &ca, err) || find_url(st, &url, err))
		return err_status(err->code);
	t.url = url;
	if (token_create(db, &t, &token, err) || settle(st, err) ||
		print_bundle(st, token, url, err))
		return err_status(err->code);
	return EXIT_OK;
}
