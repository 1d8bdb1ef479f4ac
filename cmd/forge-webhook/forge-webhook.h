/* forge-webhook: what its files share. */
#ifndef FORGE_CMD_WEBHOOK_H
#define FORGE_CMD_WEBHOOK_H

#include <popt.h>
#include "lib/base/err.h"

extern const struct poptOption accept_options[], prune_options[],
	redeliver_options[];

/* The whole program under a web server. */
int cgi_main(const char *name);

int cmd_inetd(int argc, const char **argv, struct err *err);
int cmd_accept(int argc, const char **argv, struct err *err);
int cmd_list(int argc, const char **argv, struct err *err);
int cmd_show(int argc, const char **argv, struct err *err);
int cmd_replay(int argc, const char **argv, struct err *err);
int cmd_ingest(int argc, const char **argv, struct err *err);
int cmd_redeliver(int argc, const char **argv, struct err *err);
int cmd_prune(int argc, const char **argv, struct err *err);

#endif
