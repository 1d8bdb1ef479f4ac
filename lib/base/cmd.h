/*
 * cmd: the command line of every program: verbs, options (popt), help,
 * version, completion, and the one place where an error is printed.
 *
 *	static char *arg_image;
 *	static const struct poptOption run_options[] = {
 *		{ "image", 0, POPT_ARG_STRING, &arg_image, 0,
 *			"boot this image", "IMAGE" },
 *		POPT_TABLEEND };
 *	static const struct verb verbs[] = {
 *		{ "run", "--image IMAGE [-- CMD [ARG...]]", "run CMD in a VM",
 *			run_options, 0, -1, VERB_COMMAND, vm_run },
 *		...
 *	};
 *	int main(int argc, char **argv)
 *	{
 *		static const struct program program = { "forge-vm",
 *			"microVMs ...", verbs, ARRAY_SIZE(verbs) };
 *		return cmd_main(&program, argc, argv);
 *	}
 *
 * A verb may be two words ("image build").  Names match exactly.  Options
 * may stand before or after arguments up to "--"; with VERB_COMMAND the
 * first argument ends the options, so that the rest belongs to a command;
 * cmd_command() drops the "--" that may stand in front of it.
 *
 * run() gets the arguments without program, verb and options, and returns
 * the exit status.  When that is not 0 and err is filled in, err is printed,
 * and after a mistake of usage a line that tells how to get help.
 *
 * Strings that popt stores through POPT_ARG_STRING are the option globals'
 * for the life of the process.
 */
#ifndef FORGE_BASE_CMD_H
#define FORGE_BASE_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <popt.h>
#include "lib/base/err.h"

enum verb_flags {
	VERB_COMMAND = 1 << 0, /* the arguments end in a command to run */
	VERB_HIDDEN = 1 << 1, /* not in help or completion */
};

struct verb {
	const char *name;
	const char *args; /* for the synopsis, options left out but required */
	const char *summary;
	const struct poptOption *options; /* or NULL */
	int min, max; /* arguments; max -1: any number */
	unsigned flags;
	int (*run)(int argc, const char **argv, struct err *err);
	/* dynamic completion: a shell command whose lines are candidates */
	const char *complete;
};

struct program {
	const char *name;
	const char *summary;
	const struct verb *verbs; /* one verb named "" : no verbs at all */
	size_t nverbs;
};

/* The options of every verb (design: -C --json -q -v --quiet --version). */
struct common {
	char *state; /* -C, --state DIR */
	int json;
	char *filter; /* -q, --filter FILTER */
	int verbose;
	int quiet;
};
extern struct common common;

/* Name of the running program, for messages. */
extern const char *program_name;

int cmd_main(const struct program *program, int argc, char **argv);

/*
 * First thing in main: fds 0-2 open, SIGPIPE default, locale, and a check at
 * exit that stdout was written (EPIPE is quiet).  cmd_main() does it.
 */
void main_init(const char *name);

/* argv after an optional "--"; *argc is adjusted. */
const char **cmd_command(int *argc, const char **argv);

/*
 * Do act for each argument, which must be a name (parse_name); what names
 * it.  A failure is printed and the rest is done all the same; the status is
 * that of the last failure.
 */
int cmd_each(int argc, const char **argv, const char *what,
	int (*act)(const char *name, void *arg, struct err *err), void *arg);

/* What is wrong with the arguments; returns 2. */
int cmd_usage(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
