/*
 * forge-webhook: the door for workflow_job webhooks.  See forge-webhook(1).
 */
#include "cmd/forge-webhook/forge-webhook.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define GUIDS "forge-webhook list -q .guid 2>/dev/null"

static const struct verb verbs[] = {
	{ "inetd", "", "answer one request on stdin (also: --inetd)", NULL, 0,
		0, 0, cmd_inetd, NULL },
	{ "accept", "--delivery GUID", "take one delivery from stdin",
		accept_options, 0, 0, 0, cmd_accept, NULL },
	{ "list", "", "the deliveries that were taken, newest first", NULL, 0,
		0, 0, cmd_list, NULL },
	{ "show", "GUID", "one delivery with its body", NULL, 1, 1, 0,
		cmd_show, GUIDS },
	{ "replay", "GUID", "apply a delivery that was taken once more", NULL,
		1, 1, 0, cmd_replay, GUIDS },
	{ "ingest", "", "bring spooled deliveries into the database", NULL, 0,
		0, 0, cmd_ingest, NULL },
	{ "redeliver", "", "take deliveries that failed from GitHub's record",
		redeliver_options, 0, 0, 0, cmd_redeliver, NULL },
	{ "prune", "", "forget old deliveries", prune_options, 0, 0, 0,
		cmd_prune, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-webhook",
		"the door for workflow_job webhooks", verbs,
		ARRAY_SIZE(verbs) };
	static char inetd[] = "inetd";
	int i;

	/* A CGI's arguments come from the client's query: never look there. */
	if (getenv("GATEWAY_INTERFACE"))
		return cgi_main(program.name);
	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--inetd"))
			argv[i] = inetd;
	return cmd_main(&program, argc, argv);
}
