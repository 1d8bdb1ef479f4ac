#include "cmd/forge-register/forge-register.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

char **join_argv;
struct join_args join_args;

const struct poptOption join_options[] = {
	{ "host", 0, POPT_ARG_STRING, &join_args.host, 0,
		"its host, instead of this host's name", "NAME" },
	{ "max-vms", 0, POPT_ARG_INT, &join_args.max, 0,
		"how many VMs it may have, until the agent says", "N" },
	{ "force", 'f', POPT_ARG_NONE, &join_args.force, 0,
		"also when this host has joined already", NULL },
	POPT_TABLEEND
};

/* The libraries of gRPC would cost every other verb a millisecond. */
int
cmd_join(int argc, const char **argv, struct err *err)
{
	CLEANUP_FREE char *path = NULL;

	(void)argc;
	(void)argv;
	if (find_helper("forge-join", &path, err))
		return err_status(err->code);
	(void)execv(path, join_argv);
	(void)err_sys(err, "cannot run '%s'", path);
	return err_status(err->code);
}
