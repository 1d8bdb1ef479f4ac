#include "cmd/forge-session/forge-session.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/session/identity.h"
#include "lib/session/sshkey.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { PASSPHRASE_MAX = 1024 };

static char *arg_author;
static char *arg_agent;
static int arg_sign, arg_yes;
static int arg_passphrase_fd = -1;

#define AUTHOR                                                         \
	{                                                              \
		"author", 0, POPT_ARG_STRING, &arg_author, 0,          \
			"who commits: 'Name <mail>' (needed)", "AUTHOR" \
	}
#define SIGN                                            \
	{                                               \
		"sign", 0, POPT_ARG_NONE, &arg_sign, 0, \
			"sign commits with the key", NULL \
	}

const struct poptOption identity_create_options[] = {
	AUTHOR,
	SIGN,
	POPT_TABLEEND
};
const struct poptOption identity_import_options[] = {
	AUTHOR,
	SIGN,
	{ "passphrase-fd", 0, POPT_ARG_INT, &arg_passphrase_fd, 0,
		"read the key's passphrase from here (default: ask)", "N" },
	{ "agent", 0, POPT_ARG_STRING, &arg_agent, 0,
		"the private key is with the ssh-agent at this socket, and "
		"what is read is the public one", "SOCKET" },
	POPT_TABLEEND
};
const struct poptOption identity_export_options[] = {
	{ "yes", 0, POPT_ARG_NONE, &arg_yes, 0,
		"yes, print the private key", NULL },
	POPT_TABLEEND
};

static int
keep(struct state *st, struct identity *id, const char *name,
	const struct sshkey *key, struct err *err)
{
	CLEANUP_BUF struct buf line = BUF_INIT;

	id->name = xstrdup(name);
	id->sign = arg_sign != 0;
	if (identity_create(st, id, key, err))
		return -1;
	buf_addf(&line, "%s\n", key->public);
	return output_text(&line, err);
}

static int
begin(const char *name, struct identity *id, struct err *err)
{
	if (!arg_author)
		return err_set(err, ERR_USAGE,
			"an identity needs --author 'Name <mail>'");
	return parse_name(name, "NAME", err) ||
			identity_author(arg_author, id, err) ?
		-1 :
		0;
}

int
cmd_identity_create(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	CLEANUP_SSHKEY struct sshkey key = SSHKEY_INIT;

	(void)argc;
	if (begin(argv[0], &id, err) || state_open(&st, err) ||
		sshkey_make(id.author_email, &key, err) ||
		keep(st, &id, argv[0], &key, err))
		return err_status(err->code);
	return EXIT_OK;
}

/* One line of --passphrase-fd, or what is typed without being seen. */
static int
passphrase(void *arg, struct buf *ret, struct err *err)
{
	char typed[PASSPHRASE_MAX];
	CLEANUP_CLOSE int tty = -1;
	char *end;

	(void)arg;
	buf_grow(ret, PASSPHRASE_MAX);
	if (arg_passphrase_fd >= 0) {
		if (buf_read_fd(ret, arg_passphrase_fd, PASSPHRASE_MAX - 1,
			    "--passphrase-fd", err))
			return -1;
		end = strchr(ret->s, '\n');
		if (end)
			buf_setlen(ret, (size_t)(end - ret->s));
		return 0;
	}
	tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0 ||
		EVP_read_pw_string(typed, sizeof(typed), "Passphrase: ", 0))
		return err_set(err, ERR_USAGE,
			"the key is encrypted: give its passphrase by "
			"--passphrase-fd, or run this at a terminal");
	buf_adds(ret, typed);
	OPENSSL_cleanse(typed, sizeof(typed));
	return 0;
}

static int
read_key(int argc, const char **argv, struct buf *ret, struct err *err)
{
	buf_grow(ret, SSHKEY_MAX + 1);
	if (argc > 1 && strcmp(argv[1], "-") != 0)
		return fs_read(AT_FDCWD, argv[1], SSHKEY_MAX, ret, err);
	return buf_read_fd(ret, STDIN_FILENO, SSHKEY_MAX, "stdin", err);
}

static int
import(int argc, const char **argv, struct identity *id, struct sshkey *key,
	struct err *err)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;

	if (read_key(argc, argv, &text, err))
		return -1;
	if (!arg_agent)
		return sshkey_import(&text, passphrase, NULL, key, err);
	if (arg_agent[0] != '/')
		return err_set(err, ERR_USAGE,
			"--agent '%s' is not an absolute path", arg_agent);
	buf_rtrim(&text);
	if (sshkey_check_public(text.s, err))
		return -1;
	id->agent = xstrdup(arg_agent);
	key->public = xstrdup(text.s);
	return 0;
}

int
cmd_identity_import(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	CLEANUP_SSHKEY struct sshkey key = SSHKEY_INIT;

	if (begin(argv[0], &id, err) || state_open(&st, err) ||
		import(argc, argv, &id, &key, err) ||
		keep(st, &id, argv[0], &key, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_identity_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "AUTHOR", "author_name", 0 }, { "MAIL", "author_email", 0 },
		{ "SIGN", "sign", 0 }, { "TOKEN", "token", 0 },
		{ "AGE", "created_at", COLUMN_AGE } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		identity_each(st, NULL, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
show_one(struct json *row, void *err)
{
	return output_one(row, err);
}

int
cmd_identity_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (parse_name(argv[0], "NAME", err) || state_open(&st, err) ||
		identity_each(st, argv[0], show_one, err, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_identity_export(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SECRET struct buf key = BUF_INIT;

	(void)argc;
	if (!arg_yes)
		return cmd_usage(err,
			"export prints the private key: say so by --yes");
	if (parse_name(argv[0], "NAME", err) || state_open(&st, err) ||
		identity_key(st, argv[0], &key, err) || output_text(&key, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_identity_token(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SECRET struct buf token = BUF_INIT;

	(void)argc;
	buf_grow(&token, SSHKEY_MAX + 1);
	if (parse_name(argv[0], "NAME", err) ||
		buf_read_fd(&token, STDIN_FILENO, SSHKEY_MAX, "stdin", err))
		return err_status(err->code);
	buf_rtrim(&token);
	if (state_open(&st, err) ||
		identity_set_token(st, argv[0], &token, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
rm_one(const char *name, void *st, struct err *err)
{
	return identity_remove(st, name, err);
}

int
cmd_identity_rm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", rm_one, st);
}
