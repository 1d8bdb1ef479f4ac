#include "cmd/forge-session/forge-session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mask.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/session/pull.h"
#include "lib/session/session.h"
#include "lib/session/worktree.h"
#include "lib/session/worktree_gc.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int arg_stat, arg_turn, arg_dry_run, arg_bundle;
static char *arg_message, *arg_branch, *arg_title, *arg_body, *arg_base;

#define MESSAGE                                                            \
	{                                                                  \
		"message", 'm', POPT_ARG_STRING, &arg_message, 0,          \
			"of the commit (default: the session's prompt)", \
			"TEXT"                                             \
	}

const struct poptOption diff_options[] = {
	{ "stat", 0, POPT_ARG_NONE, &arg_stat, 0, "a line for each file",
		NULL },
	POPT_TABLEEND
};
const struct poptOption commit_options[] = { MESSAGE, POPT_TABLEEND };
const struct poptOption push_options[] = {
	{ "branch", 0, POPT_ARG_STRING, &arg_branch, 0,
		"to this branch (default: the session's own)", "BRANCH" },
	POPT_TABLEEND
};
const struct poptOption revert_options[] = {
	{ "turn", 't', POPT_ARG_INT, &arg_turn, 0,
		"to before this turn (default: the last)", "N" },
	POPT_TABLEEND
};

const struct poptOption pr_options[] = {
	{ "title", 0, POPT_ARG_STRING, &arg_title, 0,
		"its title (default: of the commit, or the prompt)", "TEXT" },
	{ "body", 0, POPT_ARG_STRING, &arg_body, 0,
		"its text (default: the list of commits)", "TEXT" },
	{ "base", 0, POPT_ARG_STRING, &arg_base, 0,
		"to merge into (default: the branch it began from)",
		"BRANCH" },
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry_run, 0,
		"print the request instead of sending it", NULL },
	POPT_TABLEEND
};
const struct poptOption gc_options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry_run, 0,
		"only say what would be done", NULL },
	{ "bundle", 0, POPT_ARG_NONE, &arg_bundle, 0,
		"keep what nobody else has in a bundle, and remove it", NULL },
	POPT_TABLEEND
};

/* What an agent wrote goes to terminals masked, to pipes as it is. */
static int
print(const char *s, size_t n, void *arg, struct err *err)
{
	CLEANUP_BUF struct buf masked = BUF_INIT;

	(void)arg;
	if (isatty(STDOUT_FILENO)) {
		buf_add(&masked, s, n);
		mask_text(masked.s, masked.len);
		s = masked.s;
	}
	if (fwrite(s, 1, n, stdout) != n)
		return err_sys(err, "cannot write to stdout");
	return 0;
}

static int
flush(struct err *err)
{
	return fflush(stdout) ? err_sys(err, "cannot write to stdout") : 0;
}

int
cmd_diff(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;

	(void)argc;
	if (open_session(argv[0], &st, &db, &s, err) ||
		worktree_diff(st, &s, arg_stat != 0, print, NULL, err) ||
		flush(err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_patch(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	bool dirty = false;
	struct db *db;

	(void)argc;
	if (open_session(argv[0], &st, &db, &s, err) ||
		worktree_patch(st, &s, print, NULL, &dirty, err) || flush(err))
		return err_status(err->code);
	if (dirty && !common.quiet)
		warn("session '%s' has changes that are in no commit: "
		     "'forge-session commit %s'", s.id, s.id);
	return EXIT_OK;
}

int
cmd_commit(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;
	int n;

	(void)argc;
	if (open_session(argv[0], &st, &db, &s, err) ||
		worktree_commit(st, &s, arg_message, &n, err))
		return err_status(err->code);
	if (n)
		return EXIT_OK;
	(void)err_set(err, ERR_SYS, "session '%s' has nothing to commit", s.id);
	return EXIT_FAILED;
}

int
cmd_push(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "REPO", "url", 0 },
		{ "BRANCH", "branch", 0 }, { "COMMIT", "commit", 0 },
		{ "PUSHED", "pushed", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct db *db;

	(void)argc;
	if (open_session(argv[0], &st, &db, &s, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		worktree_push(st, &s, arg_branch, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_pr(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "REPO", "repo", 0 },
		{ "URL", "url", 0 }, { "NEW", "new", 0 } };
	static const struct column asked[] = { { "METHOD", "method", 0 },
		{ "URL", "url", 0 }, { "TITLE", "body.title", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	struct pull_options o = { .title = arg_title, .body = arg_body,
		.base = arg_base, .dry_run = arg_dry_run != 0 };
	struct db *db;

	(void)argc;
	if (open_session(argv[0], &st, &db, &s, err) ||
		(arg_dry_run ?
			output_open(&p.out, asked, ARRAY_SIZE(asked), err) :
			output_open(&p.out, columns, ARRAY_SIZE(columns), err)) ||
		pull_open(st, &s, &o, output_emit, &p, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_revert(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_SESSION struct session s = SESSION_INIT;
	struct db *db;

	(void)argc;
	if (arg_turn < 0)
		return cmd_usage(err, "--turn %d: turns begin at 1", arg_turn);
	if (open_session(argv[0], &st, &db, &s, err) ||
		worktree_revert(st, &s, arg_turn, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_gc(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "SESSION", "session", 0 },
		{ "REPO", "repo", 0 }, { "REMOVED", "removed", 0 },
		{ "BUNDLE", "bundle", 0 }, { "WHY", "why", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_EMITTER struct emitter p = { .err = err };
	unsigned flags = (arg_dry_run ? GC_DRY_RUN : 0u) |
		(arg_bundle ? GC_BUNDLE : 0u);
	int i;

	for (i = 0; i < argc; i++)
		if (parse_name(argv[i], "ID", err))
			return err_status(err->code);
	if (state_open(&st, err) || session_repair(st, NULL, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err))
		return err_status(err->code);
	i = 0;
	do {
		if (worktree_gc(st, argc ? argv[i] : NULL, flags, output_emit,
			    &p, err))
			return err_status(err->code);
	} while (++i < argc);
	return output_close(&p.out, err) ? err_status(err->code) : EXIT_OK;
}
