/* The verbs of forge-register; each is in the file of its group. */
#ifndef FORGE_REGISTER_CMD_H
#define FORGE_REGISTER_CMD_H

#include <popt.h>
#include "lib/base/err.h"

struct buf;

/* join.c: what join was told, for the program that it becomes. */
struct join_args {
	char *host;
	int max, force;
};
extern struct join_args join_args;
extern char **join_argv; /* as main() got it */

extern const struct poptOption ca_init_options[];
extern const struct poptOption ca_show_options[];
extern const struct poptOption ca_rotate_options[];
extern const struct poptOption token_create_options[];
extern const struct poptOption join_options[];
extern const struct poptOption sign_options[];
extern const struct poptOption cert_show_options[];
extern const struct poptOption cert_renew_options[];
extern const struct poptOption cert_revoke_options[];
extern const struct poptOption all_options[];

int cmd_ca_init(int argc, const char **argv, struct err *err);
int cmd_ca_show(int argc, const char **argv, struct err *err);
int cmd_ca_rotate(int argc, const char **argv, struct err *err);
int cmd_crl(int argc, const char **argv, struct err *err);
int cmd_token_create(int argc, const char **argv, struct err *err);
int cmd_token_list(int argc, const char **argv, struct err *err);
int cmd_token_revoke(int argc, const char **argv, struct err *err);
int cmd_join(int argc, const char **argv, struct err *err);
int cmd_sign(int argc, const char **argv, struct err *err);
int cmd_cert_list(int argc, const char **argv, struct err *err);
int cmd_cert_show(int argc, const char **argv, struct err *err);
int cmd_cert_renew(int argc, const char **argv, struct err *err);
int cmd_cert_revoke(int argc, const char **argv, struct err *err);
int cmd_agent_list(int argc, const char **argv, struct err *err);
int cmd_agent_revoke(int argc, const char **argv, struct err *err);

/* A file, or stdin for "-", at most max bytes. */
int read_input(const char *path, size_t max, struct buf *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
