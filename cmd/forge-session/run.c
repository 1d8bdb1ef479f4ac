#include "cmd/forge-session/forge-session.h"
#include "cmd/forge-session/rule_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/detach.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/engine.h"
#include "lib/session/message.h"
#include "lib/session/place.h"
#include "lib/session/provider.h"
#include "lib/session/session.h"
#include "lib/state/state.h"
#include "lib/session/worktree.h"
#include "lib/base/banned.h"

static char *arg_provider, *arg_place, *arg_dir, *arg_name, *arg_prompt;
static char *arg_model;
static char **arg_env;
static char *arg_identity, *arg_base, *arg_branch, *arg_on_done;
static char **arg_repo;
static char *arg_egress;
static int arg_local;
static int arg_once, arg_foreground, arg_limited, arg_notify_fd = -1;

#define WHAT                                                                \
	{ "provider", 'P', POPT_ARG_STRING, &arg_provider, 0,               \
		"the agent (default: claude)", "NAME" },                    \
		{ "in", 0, POPT_ARG_STRING, &arg_place, 0,                  \
			"where the agent runs (default: here)", "PLACE" },  \
		{ "egress", 0, POPT_ARG_STRING, &arg_egress, 0,             \
			"where it may connect to: none, all or a list "     \
			"(of vm:IMAGE: none, else all)", "POLICY" },        \
		{ "dir", 'd', POPT_ARG_STRING, &arg_dir, 0,                 \
			"the directory it works in (default: a new one)",   \
			"DIR" },                                            \
		{ "repo", 'r', POPT_ARG_ARGV, &arg_repo, 0,                 \
			"a worktree of this repository; may be repeated",   \
			"URL[#BRANCH]" },                                   \
		{ "identity", 'i', POPT_ARG_STRING, &arg_identity, 0,       \
			"who commits and pushes", "NAME" },                 \
		{ "base", 0, POPT_ARG_STRING, &arg_base, 0,                 \
			"the branch to begin from (default: the "           \
			"repository's)", "BRANCH" },                        \
		{ "branch", 0, POPT_ARG_STRING, &arg_branch, 0,             \
			"the branch to work on (default: session/ID)",      \
			"BRANCH" },                                         \
		{ "on-done", 0, POPT_ARG_STRING, &arg_on_done, 0,           \
			"what to do when it has completed: commit,push,pr", \
			"ACTIONS" },                                        \
		{ "local", 0, POPT_ARG_NONE, &arg_local, 0,                 \
			"work in the checkout that --repo names, itself",   \
			NULL },                                             \
		{ "name", 0, POPT_ARG_STRING, &arg_name, 0,                 \
			"the session's id (default: made up)", "ID" },      \
		{ "model", 'm', POPT_ARG_STRING, &arg_model, 0,             \
			"the model, as 'models' lists them", "MODEL" },     \
		{ "env", 'e', POPT_ARG_ARGV, &arg_env, 0,                   \
			"more environment for the agent",                   \
			"NAME[=VALUE]" },                                   \
	{                                                                   \
		"prompt", 'p', POPT_ARG_STRING, &arg_prompt, 0,             \
			"the first message (default: stdin)", "TEXT"        \
	}

const struct poptOption run_options[] = { WHAT, RULE_OPTIONS, FORMAT_OPTION,
	POPT_TABLEEND };
const struct poptOption start_options[] = { WHAT, RULE_OPTIONS,
	{ "once", 0, POPT_ARG_NONE, &arg_once, 0,
		"it ends when all messages are answered", NULL },
	POPT_TABLEEND };
const struct poptOption resume_options[] = {
	{ "prompt", 'p', POPT_ARG_STRING, &arg_prompt, 0,
		"a message (default: to go on)", "TEXT" },
	{ "foreground", 'f', POPT_ARG_NONE, &arg_foreground, 0,
		"be its supervisor, as run is", NULL },
	{ "limited", 0, POPT_ARG_NONE, &arg_limited, 0,
		"all that waited for their API when their supervisor died",
		NULL },
	FORMAT_OPTION,
	POPT_TABLEEND
};
const struct poptOption supervise_options[] = {
	{ "notify-fd", 0, POPT_ARG_INT, &arg_notify_fd, 0,
		"write the id to this fd when it is taken over", "FD" },
	POPT_TABLEEND
};

/* ---- what is asked for ---- */

static struct json *
words(int argc, const char *const *argv)
{
	struct json *list = json_array();
	int i;

	for (i = 0; i < argc; i++)
		json_push_str(list, argv[i]);
	return list;
}

static struct json *
options(int argc, const char **argv, bool once)
{
	struct json *o = json_object();
	int n = 0;

	if (argc)
		json_put(o, strcmp(arg_provider, "command") ? "args" :
							      "command",
			words(argc, argv));
	while (arg_env && arg_env[n])
		n++;
	if (n)
		json_put(o, "env", words(n, (const char *const *)arg_env));
	if (once)
		json_put_bool(o, "once", true);
	return o;
}

static int
prompt(struct buf *ret, struct err *err)
{
	if (arg_prompt)
		buf_adds(ret, arg_prompt);
	else if (buf_read_fd(ret, STDIN_FILENO, MESSAGE_MAX, "stdin", err))
		return -1;
	buf_rtrim(ret);
	return 0;
}

static int
existing_dir(char **ret, struct err *err)
{
	if (!arg_dir)
		return 0;
	*ret = realpath(arg_dir, NULL);
	return *ret ? 0 : err_sys(err, "--dir '%s'", arg_dir);
}

static int
repositories(struct state *st, struct session *s, struct err *err)
{
	CLEANUP_ARGV struct argv repos = ARGV_INIT;

	s->identity = xstrdup_null(arg_identity);
	s->base = xstrdup_null(arg_base);
	s->branch = xstrdup_null(arg_branch);
	if (arg_on_done) {
		if (worktree_check_actions(arg_on_done, err))
			return -1;
		if (!arg_repo || arg_local)
			return err_set(err, ERR_USAGE,
				"--on-done is for a --repo without --local");
		json_put_str(s->options, "on_done", arg_on_done);
	}
	if (arg_repo)
		argv_pushv(&repos, (const char *const *)arg_repo);
	return worktree_plan(st, s, &repos, arg_local != 0, err);
}

/* Everything is known and sound before anything is begun. */
static int
fill(struct state *st, int argc, const char **argv, bool once,
	struct session *s, struct err *err)
{
	CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
	int n = argc;
	const char **command = cmd_command(&n, argv);

	if (!arg_provider)
		arg_provider = xstrdup("claude");
	if ((arg_name && parse_name(arg_name, "--name", err)) ||
		provider_load(st, arg_provider, &p, err))
		return -1;
	if (!strcmp(arg_provider, "command") && !n)
		return cmd_usage(err, "provider command needs -- COMMAND"), -1;
	s->id = arg_name ? xstrdup(arg_name) : random_name(8);
	s->provider = xstrdup(arg_provider);
	s->place = xstrdup(arg_place ? arg_place : "here");
	s->model = xstrdup_null(arg_model);
	s->options = options(n, command, once);
	if (arg_egress)
		json_put_str(s->options, PLACE_EGRESS, arg_egress);
	return place_check(s, err) || rule_options(s, err) ||
			existing_dir(&s->dir, err) ||
			repositories(st, s, err) ?
		-1 :
		0;
}

static int
create(int argc, const char **argv, bool once, struct state **st,
	struct session *s, struct err *err)
{
	CLEANUP_BUF struct buf message = BUF_INIT;
	struct db *db;

	if (state_open(st, err) || state_db(*st, &db, err) ||
		fill(*st, argc, argv, once, s, err) || prompt(&message, err))
		return -1;
	if (once && !message.len)
		return cmd_usage(err, "there is no message for the agent"), -1;
	return session_create(db, s, message.len ? message.s : NULL, err);
}

/* ---- in the foreground ---- */

static int
supervise(struct state *st, const char *id, struct err *err)
{
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct printer p = PRINTER_INIT;
	struct engine_run run = { .id = id, .notify_fd = -1,
		.emit = print_lines, .arg = &p };
	struct err own = ERR_INIT;
	struct db *db;
	int status;

	if (printer_open(&p, err) || state_db(st, &db, err) ||
		session_get(db, id, &s, err) ||
		printer_format(&p, "ndjson", st, &s, err) ||
		engine_run(st, &run, &status, err))
		return err_status(err->code);
	if (printer_close(&p, &own) && !status) {
		*err = own;
		return err_status(err->code);
	}
	return status;
}

int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;

	if (create(argc, argv, true, &st, &s, err))
		return err_status(err->code);
	return supervise(st, s.id, err);
}

/* ---- in the background ---- */

int
cmd_supervise(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct engine_run run = { .id = argv[0], .notify_fd = arg_notify_fd };
	int status;

	(void)argc;
	if (parse_name(argv[0], "ID", err) || state_open(&st, err) ||
		engine_run(st, &run, &status, err))
		return err_status(err->code);
	return status;
}

/* A row that nobody supervises says so. */
static int
detach(struct state *st, const char *id, struct err *err)
{
	CLEANUP_ARGV struct argv args = ARGV_INIT;
	CLEANUP_BUF struct buf line = BUF_INIT;
	struct err why = ERR_INIT, none = ERR_INIT;
	struct db *db;
	int status;

	argv_push(&args, "supervise");
	argv_pushf(&args, "--state=%s", state_path(st));
	argv_push(&args, id);
	if (detach_self(&args, &line, &status, &why))
		status = err_status(why.code);
	if (!status) {
		puts(line.s);
		return 0;
	}
	if (!state_db(st, &db, &none))
		(void)!session_move(db, id, SESSION_FAILED, why.msg, status,
			NULL, &none);
	*err = why;
	return status;
}

int
cmd_start(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;

	if (create(argc, argv, arg_once != 0, &st, &s, err))
		return err_status(err->code);
	return detach(st, s.id, err);
}

/* Somebody else may do the same. */
static int
resume_limited(struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_ARGV struct argv ids = ARGV_INIT;
	int status = EXIT_OK;
	struct db *db;
	size_t i;

	if (state_open(&st, err) || state_db(st, &db, err) ||
		session_repair(st, NULL, err) ||
		session_cut_limited(db, &ids, err))
		return err_status(err->code);
	for (i = 0; i < ids.n; i++) {
		struct err one = ERR_INIT;

		if (!session_again(db, ids.v[i], NULL, &one) &&
			!detach(st, ids.v[i], &one))
			continue;
		if (one.code != ERR_BUSY)
			status = err_print(&one);
	}
	return status;
}

int
cmd_resume(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;

	if (arg_limited ? argc || arg_prompt || arg_foreground : !argc)
		return cmd_usage(err, "give an ID, or --limited and no more");
	if (arg_limited)
		return resume_limited(err);
	if (open_session(argv[0], &st, &db, &s, err) ||
		session_again(db, argv[0], arg_prompt, err))
		return err_status(err->code);
	return arg_foreground ? supervise(st, argv[0], err) :
				detach(st, argv[0], err);
}
