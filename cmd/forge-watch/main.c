/*
 * forge-watch: the supervisor, and the reader of events.  See forge-watch(8).
 */
#include "cmd/forge-watch/forge-watch.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const struct verb verbs[] = {
	{ "run", "", "keep as many runners as the jobs and pools ask for",
		run_options, 0, 0, 0, cmd_run, NULL },
	{ "status", "", "is one running, and what is there to do", NULL, 0, 0,
		0, cmd_status, NULL },
	{ "events", "", "what happened (--follow: and what happens)",
		events_options, 0, 0, 0, cmd_events, NULL },
	{ "metrics", "", "jobs, pools, runners and VMs as OpenMetrics",
		metrics_options, 0, 0, 0, cmd_metrics, NULL },
	{ "notify", "[CHANNEL...]", "deliver events to webhooks, ntfy, commands",
		notify_options, 0, -1, 0, cmd_notify,
		"forge-watch channels -q .name 2>/dev/null" },
	{ "channels", "", "where events are delivered to, and how far", NULL,
		0, 0, 0, cmd_channels, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-watch",
		"the supervisor of runners and VMs, and the reader of events",
		verbs, ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
