/*
 * forge-agent: this host at the far end of a coordinator's stream.  See
 * forge-agent(8).
 */
#include "cmd/forge-agent/forge-agent.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const struct verb verbs[] = {
	{ "run", "", "be an agent, in the foreground", run_options, 0, 0, 0,
		cmd_run, NULL },
	{ "show", "", "who this host is, to which coordinator", NULL, 0, 0, 0,
		cmd_show, NULL },
	{ "install", "", "write and start a service for systemd",
		install_options, 0, 0, 0, cmd_install, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-agent",
		"this host's VMs for a coordinator elsewhere", verbs,
		ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
