#include "lib/base/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/completion.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

const char *program_name = "forge";
struct common common;

enum { OPT_HELP = 1, OPT_VERSION, OPT_VERBOSE };

static const struct poptOption common_options[] = {
	{ "state", 'C', POPT_ARG_STRING, &common.state, 0,
		"the state directory", "DIR" },
	{ "json", 0, POPT_ARG_NONE, &common.json, 0,
		"print JSON, one object a line", NULL },
	{ "filter", 'q', POPT_ARG_STRING, &common.filter, 0,
		"print what this jq filter makes of the JSON", "FILTER" },
	{ "verbose", 'v', POPT_ARG_NONE, NULL, OPT_VERBOSE,
		"log more; twice: everything", NULL },
	{ "quiet", 0, POPT_ARG_NONE, &common.quiet, 0, "log errors only",
		NULL },
	{ "version", 0, POPT_ARG_NONE, NULL, OPT_VERSION,
		"print the version", NULL },
	{ "help", 'h', POPT_ARG_NONE, NULL, OPT_HELP, "print this help",
		NULL },
	POPT_TABLEEND
};

#define COMMON                                                             \
	{                                                                  \
		NULL, 0, POPT_ARG_INCLUDE_TABLE,                           \
			(void *)(uintptr_t)common_options, 0,              \
			"Options of every command:", NULL                  \
	}

/* ---- the process ---- */

static void
open_stdio(void)
{
	int fd;

	do
		/* 0 to 2 are for our children as well as for us */
		fd = open("/dev/null", O_RDWR); /* NOLINT(android-cloexec*) */
	while (fd >= 0 && fd < 3);
	if (fd > 2)
		(void)close(fd); /* nothing was written */
}

#ifndef FORGE_SANITIZE
/*
 * What was printed must have arrived: ENOSPC is an error, a reader that went
 * away is not.
 */
static void
close_stdout(void)
{
	if (!fflush(stdout) && !ferror(stdout) &&
		(!close(STDOUT_FILENO) || errno == EBADF))
		return;
	if (errno == EPIPE)
		return;
	struct err err = ERR_INIT;

	(void)err_sys(&err, "cannot write to stdout");
	(void)err_print(&err);
	_exit(EXIT_FAILED);
}
#endif

void
main_init(const char *name)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t pipe_set;

	program_name = name;
	/* By default each free at the top gives memory back, for the next
	 * malloc to fetch it again, page by page. */
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
	(void)mallopt(M_TOP_PAD, 256 << 10);
	open_stdio();
	(void)sigaction(SIGPIPE, &dfl, NULL);
	(void)sigemptyset(&pipe_set);
	(void)sigaddset(&pipe_set, SIGPIPE);
	(void)sigprocmask(SIG_UNBLOCK, &pipe_set, NULL);
	(void)setlocale(LC_CTYPE, "");
#ifndef FORGE_SANITIZE
	/* LeakSanitizer reports at exit, on an open stderr. */
	if (atexit(close_stdout))
		BUG("atexit");
#endif
}

/* ---- help ---- */

static bool
only_verb(const struct program *p)
{
	return p->nverbs == 1 && !*p->verbs[0].name;
}

/* Is v a command of this group?  Every one is of "". */
static bool
in_group(const struct verb *v, const char *group)
{
	size_t n = strlen(group);

	return !n || (!strncmp(v->name, group, n) && v->name[n] == ' ');
}

static void
print_help(const struct program *p, const char *group)
{
	size_t i, width = 0;

	for (i = 0; i < p->nverbs; i++)
		if (strlen(p->verbs[i].name) > width)
			width = strlen(p->verbs[i].name);
	printf("Usage: %s [OPTION...] COMMAND [ARG...]\n\n%s\n\nCommands:\n",
		p->name, p->summary);
	for (i = 0; i < p->nverbs; i++)
		if (in_group(&p->verbs[i], group) &&
			!(p->verbs[i].flags & VERB_HIDDEN))
			printf("  %-*s  %s\n", (int)width, p->verbs[i].name,
				p->verbs[i].summary);
	printf("\n'%s COMMAND --help' tells the options of a command; the "
	       "whole is in %s(%s).\n", p->name, p->name,
		strcmp(p->name, "forge-watch") != 0 ? "1" : "8");
}

static void
print_version(const struct program *p)
{
	printf("%s %s\n", p->name, FORGE_VERSION);
}

static int
hint(const char *name)
{
	fprintf(stderr, "Try '%s --help'.\n", name);
	return EXIT_USAGE;
}

static int
wrong(const char *name, const char *what, const char *subject)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_USAGE, "%s '%s'", what, subject);
	(void)err_print(&err);
	return hint(name);
}

int
cmd_usage(struct err *err, const char *fmt, ...)
{
	va_list ap;
	CLEANUP_FREE char *text = NULL;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	(void)err_set(err, ERR_USAGE, "%s", text);
	return EXIT_USAGE;
}

/* ---- options ---- */

enum parsed { PARSED_OK, PARSED_HELP, PARSED_VERSION, PARSED_BAD };

static int
bad_option(poptContext ctx, int rc, const char *name)
{
	const char *option = poptBadOption(ctx, POPT_BADOPTION_NOALIAS);
	struct err err = ERR_INIT;

	if (rc == POPT_ERROR_BADOPT)
		return wrong(name, "unknown option", option);
	/* A value that stands apart is named itself by popt. */
	(void)err_set(&err, ERR_USAGE, "%s '%s': %s",
		*option == '-' ? "option" : "value", option, poptStrerror(rc));
	(void)err_print(&err);
	return hint(name);
}

static enum parsed
parse_options(poptContext ctx, const char *name)
{
	enum parsed result = PARSED_OK;
	int rc;

	while ((rc = poptGetNextOpt(ctx)) > 0) {
		if (rc == OPT_VERBOSE)
			common.verbose++;
		else if (rc == OPT_HELP)
			result = PARSED_HELP;
		else if (rc == OPT_VERSION)
			result = PARSED_VERSION;
	}
	if (rc < -1) {
		(void)bad_option(ctx, rc, name);
		return PARSED_BAD;
	}
	return result;
}

static int
count(const char **argv)
{
	int n = 0;

	while (argv && argv[n])
		n++;
	return n;
}

static void
set_log_level(void)
{
	if (common.quiet)
		log_set_level(LOG_ERROR);
	else if (common.verbose)
		log_set_level(common.verbose > 1 ? LOG_DEBUG : LOG_INFO);
}

/* ---- verbs ---- */

/* The verb that argv begins with; *ret_words is how many words it has. */
static const struct verb *
find_verb(const struct program *p, const char **argv, int *ret_words)
{
	size_t i;

	for (i = 0; i < p->nverbs; i++) {
		const char *name = p->verbs[i].name;
		size_t first = strcspn(name, " ");

		if (strlen(argv[0]) != first || strncmp(argv[0], name, first))
			continue;
		if (!name[first]) {
			*ret_words = 1;
			return &p->verbs[i];
		}
		if (argv[1] && !strcmp(argv[1], name + first + 1)) {
			*ret_words = 2;
			return &p->verbs[i];
		}
	}
	return NULL;
}

/* Is word the first of verbs of two words? */
static bool
is_group(const struct program *p, const char *word)
{
	size_t i;

	for (i = 0; *word && i < p->nverbs; i++)
		if (in_group(&p->verbs[i], word))
			return true;
	return false;
}

static int
no_verb(const struct program *p, const char **argv)
{
	if (is_group(p, argv[0]) && !argv[1]) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_USAGE, "'%s' needs a second word",
			argv[0]);
		(void)err_print(&err);
		return hint(p->name);
	}
	if (is_group(p, argv[0]) &&
		(!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		print_help(p, argv[0]);
		return EXIT_OK;
	}
	if (is_group(p, argv[0])) {
		CLEANUP_FREE char *both = xasprintf("%s %s", argv[0], argv[1]);

		return wrong(p->name, "unknown command", both);
	}
	return wrong(p->name, "unknown command", argv[0]);
}

static int
check_count(const struct verb *v, int n, const char *name)
{
	struct err err = ERR_INIT;

	if (n >= v->min && (v->max < 0 || n <= v->max))
		return 0;
	if (n < v->min)
		(void)err_set(&err, ERR_USAGE, "%s: too few arguments", v->name);
	else
		(void)err_set(&err, ERR_USAGE, "%s: too many arguments",
			v->name);
	if (!*v->name)
		(void)err_set(&err, ERR_USAGE, "too %s arguments",
			n < v->min ? "few" : "many");
	(void)err_print(&err);
	return hint(name);
}

static int
run_verb(const struct verb *v, poptContext ctx, const char *name)
{
	struct err err = ERR_INIT;
	const char **args = poptGetArgs(ctx);
	static const char *none[1];
	int n = count(args), status;

	if (check_count(v, n, name))
		return EXIT_USAGE;
	set_log_level();
	status = v->run(n, args ? args : none, &err);
	if (!status)
		return EXIT_OK;
	if (err.code)
		(void)err_print(&err);
	if (err.code == ERR_USAGE)
		(void)hint(name);
	return status;
}

static int
verb_main(const struct program *p, const struct verb *v, int argc,
	const char **argv)
{
	CLEANUP_FREE char *name = *v->name ?
		xasprintf("%s %s", p->name, v->name) :
		xstrdup(p->name);
	const struct poptOption options[] = {
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE,
			(void *)(uintptr_t)v->options, 0, "Options:", NULL },
		COMMON, POPT_TABLEEND
	};
	CLEANUP_FREE char *usage = xasprintf("[OPTION...]%s%s",
		*v->args ? " " : "", v->args);
	unsigned flags = v->flags & VERB_COMMAND ?
		POPT_CONTEXT_POSIXMEHARDER :
		0;
	poptContext ctx;
	int status = EXIT_USAGE;

	argv[0] = name;
	ctx = poptGetContext(name, argc, argv,
		v->options ? options : options + 1, flags);
	poptSetOtherOptionHelp(ctx, usage);
	switch (parse_options(ctx, name)) {
	case PARSED_HELP:
		printf("%s: %s\n", name, v->summary);
		poptPrintHelp(ctx, stdout, 0);
		status = EXIT_OK;
		break;
	case PARSED_VERSION:
		print_version(p);
		status = EXIT_OK;
		break;
	case PARSED_OK:
		status = run_verb(v, ctx, name);
		break;
	case PARSED_BAD:
		break;
	}
	poptFreeContext(ctx);
	return status;
}

static int
first_words(const struct program *p, poptContext ctx)
{
	const char **rest = poptGetArgs(ctx);
	const struct verb *v;
	const char **args;
	int words = 0, n = count(rest), status, i;

	if (!n) {
		fprintf(stderr, "%s: a command is needed\n", p->name);
		return hint(p->name);
	}
	v = find_verb(p, rest, &words);
	if (!v)
		return no_verb(p, rest);
	args = xcalloc((size_t)n + 2, sizeof(*args));
	for (i = words; i < n; i++)
		args[i - words + 1] = rest[i];
	status = verb_main(p, v, n - words + 1, args);
	free(args);
	return status;
}

int
cmd_main(const struct program *program, int argc, char **argv)
{
	static const char completion[] = "--print-completion=";
	const struct poptOption options[] = { COMMON, POPT_TABLEEND };
	int status = EXIT_USAGE;
	const char **words;
	poptContext ctx;

	main_init(program->name);
	if (argc == 2 && !strncmp(argv[1], completion, strlen(completion)))
		return completion_print(program, common_options,
			argv[1] + strlen(completion));
	words = xcalloc((size_t)argc + 1, sizeof(*words));
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	if (only_verb(program)) {
		status = verb_main(program, &program->verbs[0], argc, words);
		free(words);
		return status;
	}
	ctx = poptGetContext(program->name, argc, words, options,
		POPT_CONTEXT_POSIXMEHARDER);
	switch (parse_options(ctx, program->name)) {
	case PARSED_HELP:
		print_help(program, "");
		status = EXIT_OK;
		break;
	case PARSED_VERSION:
		print_version(program);
		status = EXIT_OK;
		break;
	case PARSED_OK:
		status = first_words(program, ctx);
		break;
	case PARSED_BAD:
		break;
	}
	poptFreeContext(ctx);
	free(words);
	return status;
}

int
cmd_each(int argc, const char **argv, const char *what,
	int (*act)(const char *name, void *arg, struct err *err), void *arg)
{
	int i, status = EXIT_OK;

	for (i = 0; i < argc; i++) {
		struct err one = ERR_INIT;

		if (parse_name(argv[i], what, &one) || act(argv[i], arg, &one))
			status = err_print(&one);
	}
	return status;
}

const char **
cmd_command(int *argc, const char **argv)
{
	if (!*argc || strcmp(argv[0], "--") != 0)
		return argv;
	(*argc)--;
	return argv + 1;
}
