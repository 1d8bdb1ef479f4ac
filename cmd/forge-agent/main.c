/*
 * forge-agent: this host at the far end of a coordinator's stream.  See
 * forge-agent(1).
 */
#include "cmd/forge-agent/forge-agent.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define AGENTS "forge-register agent list -q .id 2>/dev/null"

static const struct verb verbs[] = {
	{ "run", "[--on AGENT -- CMD [ARG...]]",
		"be an agent, in the foreground; --on: run CMD on one",
		run_options, 0, -1, VERB_COMMAND, cmd_run, AGENTS },
	{ "show", "", "who this host is, to which coordinator", NULL, 0, 0, 0,
		cmd_show, NULL },
	{ "install", "", "write and start a service for systemd",
		install_options, 0, 0, 0, cmd_install, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-agent",
		"the VMs of this host, for a coordinator elsewhere", verbs,
		ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
