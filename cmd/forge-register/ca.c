#include "cmd/forge-register/forge-register.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/trust/ca.h"
#include "lib/trust/cert.h"
#include "lib/base/banned.h"

static char *arg_org, *arg_key_in, *arg_overlap;
static int arg_pem;

#define KEY_IN                                                     \
	{ "key-in", 0, POPT_ARG_STRING, &arg_key_in, 0,            \
		"sign with this offline root, and do not keep it", \
		"FILE" }

const struct poptOption ca_init_options[] = {
	{ "org", 0, POPT_ARG_STRING, &arg_org, 0,
		"organisation in the names (CI Runner)", "NAME" },
	KEY_IN,
	POPT_TABLEEND
};
const struct poptOption ca_show_options[] = {
	{ "pem", 0, POPT_ARG_NONE, &arg_pem, 0,
		"the certificates that are trusted, for other programs", NULL },
	POPT_TABLEEND
};
const struct poptOption ca_rotate_options[] = {
	{ "overlap", 0, POPT_ARG_STRING, &arg_overlap, 0,
		"trust the old one so long (30d); 0: not at all", "DURATION" },
	KEY_IN,
	POPT_TABLEEND
};

/* The root's file, when there is one. */
static int
read_root(struct buf *ret, struct err *err)
{
	return arg_key_in ? read_input(arg_key_in, PEM_MAX, ret, err) : 0;
}

static int
show(struct state *st, struct err *err)
{
	static const struct column columns[] = { { "SERIAL", "serial", 0 },
		{ "NAME", "name", 0 }, { "STATE", "state", 0 },
		{ "CERTS", "certs", COLUMN_RIGHT },
		{ "EXPIRES", "not_after", COLUMN_TIME },
		{ "TRUSTED UNTIL", "trusted_until", COLUMN_TIME },
		{ "FINGERPRINT", "fingerprint", 0 } };
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct db *db;

	if (state_db(st, &db, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		ca_each(db, output_emit, &p, err) || output_close(&p.out, err))
		return -1;
	return 0;
}

/* What depends on who signs: the listener's certificate, where one is. */
static int
settle(struct state *st, struct err *err)
{
	return cert_server(st, NULL, false, NULL, err);
}

int
cmd_ca_init(int argc, const char **argv, struct err *err)
{
	CLEANUP_SECRET struct buf root = BUF_INIT;
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	(void)argv;
	if (read_root(&root, err) || state_open(&st, err) ||
		ca_init(st, arg_org ? arg_org : "CI Runner",
			arg_key_in ? &root : NULL, err) ||
		settle(st, err) || show(st, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
print_pem(struct state *st, struct err *err)
{
	CLEANUP_BUF struct buf pem = BUF_INIT;

	if (ca_trusted(st, &pem, err))
		return -1;
	return output_text(&pem, err);
}

int
cmd_ca_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_CA struct ca *ca = NULL;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || ca_open(st, &ca, err) ||
		(arg_pem ? print_pem(st, err) : show(st, err)))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_ca_rotate(int argc, const char **argv, struct err *err)
{
	CLEANUP_SECRET struct buf root = BUF_INIT;
	CLEANUP_STATE struct state *st = NULL;
	int64_t overlap = 30 * 86400000LL;

	(void)argc;
	(void)argv;
	if ((arg_overlap &&
			parse_duration(arg_overlap, "--overlap", &overlap,
				err)) ||
		read_root(&root, err) || state_open(&st, err) ||
		ca_rotate(st, arg_key_in ? &root : NULL, overlap, err) ||
		settle(st, err) || show(st, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_crl(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_CA struct ca *ca = NULL;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || ca_open(st, &ca, err) ||
		ca_write_crl(st, err) ||
		fs_read(state_dir(st), "trust/crl.pem", CRL_MAX, &text, err) ||
		output_text(&text, err))
		return err_status(err->code);
	return EXIT_OK;
}
