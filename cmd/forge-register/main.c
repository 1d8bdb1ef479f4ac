/*
 * forge-register: who may take part.  See forge-register(1).
 */
#include "cmd/forge-register/forge-register.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define TOKENS "forge-register token list -q .id 2>/dev/null"
#define CERTS "forge-register cert list -q .serial 2>/dev/null"
#define AGENTS "forge-register agent list -q .id 2>/dev/null"

static const struct verb verbs[] = {
	{ "ca init", "", "make the certificate authority", ca_init_options, 0,
		0, 0, cmd_ca_init, NULL },
	{ "ca show", "", "the authorities that are trusted (--pem: as a file)",
		ca_show_options, 0, 0, 0, cmd_ca_show, NULL },
	{ "ca rotate", "", "a new key; the old one is trusted for a while",
		ca_rotate_options, 0, 0, 0, cmd_ca_rotate, NULL },
	{ "token create", "", "print a bundle by which one agent may join",
		token_create_options, 0, 0, 0, cmd_token_create, NULL },
	{ "token list", "", "tokens that can be used (--all: every one known)",
		all_options, 0, 0, 0, cmd_token_list, NULL },
	{ "token revoke", "TOKEN...", "make tokens worthless", NULL, 1, -1, 0,
		cmd_token_revoke, TOKENS },
	{ "join", "BUNDLE | -", "make this host an agent of another",
		join_options, 1, 1, 0, cmd_join, NULL },
	{ "sign", "CSR", "certify a request by hand; print the certificate",
		sign_options, 1, 1, 0, cmd_sign, NULL },
	{ "cert list", "", "certificates that are good (--all: every one)",
		all_options, 0, 0, 0, cmd_cert_list, NULL },
	{ "cert show", "SERIAL", "everything about one certificate",
		cert_show_options, 1, 1, 0, cmd_cert_show, CERTS },
	{ "cert renew", "SERIAL | server", "a new one for the same key",
		cert_renew_options, 1, 1, 0, cmd_cert_renew, CERTS },
	{ "cert revoke", "SERIAL...", "make certificates worthless",
		cert_revoke_options, 1, -1, 0, cmd_cert_revoke, CERTS },
	{ "crl", "", "write and print the list of revoked certificates", NULL,
		0, 0, 0, cmd_crl, NULL },
	{ "agent list", "", "the hosts that joined (--all: revoked ones, too)",
		all_options, 0, 0, 0, cmd_agent_list, NULL },
	{ "agent revoke", "AGENT...", "lock hosts out, at once", NULL, 1, -1, 0,
		cmd_agent_revoke, AGENTS },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-register",
		"who may take part: authority, tokens, certificates", verbs,
		ARRAY_SIZE(verbs) };

	join_argv = argv;
	return cmd_main(&program, argc, argv);
}
