/*
 * forge-session: coding agents at work.  See forge-session(1).
 */
#include "cmd/forge-session/forge-session.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define LIVE "forge-session list -q .id 2>/dev/null"
#define ALL "forge-session list --all -q .id 2>/dev/null"
#define PROVIDERS "forge-session providers -q .name 2>/dev/null"

#define IDENTITIES "forge-session identity list -q .name 2>/dev/null"

static const struct verb verbs[] = {
	{ "run", "[-- ARG...]", "one agent, in the foreground: stdin to events",
		run_options, 0, -1, VERB_COMMAND, cmd_run, NULL },
	{ "start", "[-- ARG...]", "the same in the background; print its id",
		start_options, 0, -1, VERB_COMMAND, cmd_start, NULL },
	{ "supervise", "ID", "what start starts", supervise_options, 1, 1,
		VERB_HIDDEN, cmd_supervise, NULL },
	{ "keep", "ID", "the VM of one", keep_options, 1, 1, VERB_HIDDEN,
		cmd_keep, NULL },
	{ "attach", "ID", "its transcript, live; typed lines are messages",
		attach_options, 1, 1, 0, cmd_attach, LIVE },
	{ "wait", "ID", "until the agent has nothing left to do",
		wait_options, 1, 1, 0, cmd_wait, ALL },
	{ "resume", "[ID]", "go on with a session that is over", resume_options,
		0, 1, 0, cmd_resume, ALL },
	{ "list", "", "sessions that live (--all: every one known)",
		list_options, 0, 0, 0, cmd_list, NULL },
	{ "show", "ID", "everything about one session", NULL, 1, 1, 0,
		cmd_show, ALL },
	{ "send", "ID [TEXT...]", "tell the agent something (default: stdin)",
		send_options, 1, -1, VERB_COMMAND, cmd_send, LIVE },
	{ "log", "ID", "the transcript, as numbered events", log_options, 1, 1,
		0, cmd_log, ALL },
	{ "asks", "[ID]", "what agents ask and nobody has answered",
		asks_options, 0, 1, 0, cmd_asks, LIVE },
	{ "answer", "ASK", "answer one of them", answer_options, 1, 1, 0,
		cmd_answer, "forge-session asks -q .id 2>/dev/null" },
	{ "interrupt", "ID...", "end the turn of an agent, not the session",
		NULL, 1, -1, 0, cmd_interrupt, LIVE },
	{ "stop", "ID...", "end sessions", stop_options, 1, -1, 0, cmd_stop,
		LIVE },
	{ "rm", "ID...", "forget sessions that are over", NULL, 1, -1, 0,
		cmd_rm, ALL },
	{ "providers", "", "the agents that can be started", NULL, 0, 0, 0,
		cmd_providers, NULL },
	{ "models", "PROVIDER", "the models of an agent", NULL, 1, 1, 0,
		cmd_models, PROVIDERS },
	{ "key", "PROVIDER",
		"keep the API key on stdin; an empty one is forgotten", NULL,
		1, 1, 0, cmd_key, PROVIDERS },
	{ "proxy", "PROVIDER", "put an API key into what an agent calls",
		proxy_options, 1, 1, 0, cmd_proxy, PROVIDERS },
	{ "diff", "ID", "what it changed, as a patch", diff_options, 1, 1, 0,
		cmd_diff, ALL },
	{ "patch", "ID", "its commits, as git format-patch has them", NULL, 1,
		1, 0, cmd_patch, ALL },
	{ "commit", "ID", "commit what is not committed", commit_options, 1, 1,
		0, cmd_commit, ALL },
	{ "push", "ID", "push its commits to where it came from",
		push_options, 1, 1, 0, cmd_push, ALL },
	{ "pr", "ID", "open a pull request for what it pushed", pr_options, 1,
		1, 0, cmd_pr, ALL },
	{ "revert", "ID", "files and branch as before a turn", revert_options,
		1, 1, 0, cmd_revert, ALL },
	{ "gc", "[ID...]", "remove the worktrees of sessions that are over",
		gc_options, 0, -1, 0, cmd_gc, ALL },
	{ "identity create", "NAME --author AUTHOR",
		"make a key; prints the line for the git host",
		identity_create_options, 1, 1, 0, cmd_identity_create, NULL },
	{ "identity import", "NAME --author AUTHOR [FILE]",
		"keep a key (default: of stdin); prints the public line",
		identity_import_options, 1, 2, 0, cmd_identity_import, NULL },
	{ "identity list", "", "who commits and pushes", NULL, 0, 0, 0,
		cmd_identity_list, NULL },
	{ "identity show", "NAME", "one of them, without its secrets", NULL,
		1, 1, 0, cmd_identity_show, IDENTITIES },
	{ "identity export", "NAME --yes", "print the private key",
		identity_export_options, 1, 1, 0, cmd_identity_export,
		IDENTITIES },
	{ "identity token", "NAME",
		"keep the API token on stdin; an empty one is forgotten",
		NULL, 1, 1, 0, cmd_identity_token, IDENTITIES },
	{ "identity rm", "NAME...", "forget identities and their keys", NULL,
		1, -1, 0, cmd_identity_rm, IDENTITIES },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-session",
		"coding agents at work, each in a session of its own", verbs,
		ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
