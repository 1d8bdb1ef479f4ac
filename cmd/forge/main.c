/*
 * forge: `forge vm list` runs `forge-vm list`.  See forge(1).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

static const struct {
	const char *name;
	const char *summary;
} programs[] = {
	{ "agent", "the VMs of this host, for a coordinator elsewhere" },
	{ "register", "who may take part: tokens, certificates" },
	{ "runner", "ephemeral CI runners at GitHub" },
	{ "session", "coding agents at work" },
	{ "vm", "microVMs: images, addresses, life" },
	{ "watch", "the supervisor, and the reader of events" },
	{ "webhook", "the door for workflow_job webhooks" },
};

static void
help(void)
{
	size_t i;

	puts("Usage: forge COMMAND [ARG...]\n\n"
	     "Each COMMAND is a program forge-COMMAND with its own --help and "
	     "man page.\n\nCommands:");
	for (i = 0; i < ARRAY_SIZE(programs); i++)
		printf("  %-10s %s\n", programs[i].name, programs[i].summary);
	puts("  doctor     can this machine run VMs (forge-vm doctor)\n"
	     "  help       this; 'help COMMAND' is the man page of one");
}

static int __attribute__((format(printf, 1, 2)))
usage(const char *fmt, ...)
{
	CLEANUP_FREE char *text = NULL;
	struct err err = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	(void)err_set(&err, ERR_USAGE, "%s", text);
	(void)err_print(&err);
	fputs("Try 'forge --help'.\n", stderr);
	return EXIT_USAGE;
}

/* Does not return when the program could be executed. */
static int
become(const char *name, char **rest, struct err *err)
{
	CLEANUP_FREE char *program = xasprintf("forge-%s", name);
	CLEANUP_FREE char *path = NULL;

	if (find_program(program, &path, err))
		return err_set(err, ERR_NOTFOUND,
			"no command '%s'; 'forge help' lists them", name);
	rest[0] = program;
	(void)execv(path, rest);
	return err_sys(err, "cannot execute '%s'", path);
}

static int
man(const char *name, struct err *err)
{
	CLEANUP_FREE char *page = xasprintf("forge-%s", name);

	if (parse_name(name, "COMMAND", err))
		return -1;
	(void)execlp("man", "man", page, (char *)NULL);
	return err_sys(err, "cannot execute 'man'");
}

static int
completion(const char *shell)
{
	size_t i;

	if (!strcmp(shell, "bash")) {
		printf("complete -W '");
		for (i = 0; i < ARRAY_SIZE(programs); i++)
			printf("%s ", programs[i].name);
		puts("doctor help' forge");
	} else if (!strcmp(shell, "zsh")) {
		printf("#compdef forge\n_arguments '1:command:(");
		for (i = 0; i < ARRAY_SIZE(programs); i++)
			printf("%s ", programs[i].name);
		puts("doctor help)' '*::arg:_normal'");
	} else if (!strcmp(shell, "fish")) {
		puts("complete -c forge -f -n __fish_use_subcommand -a "
		     "'doctor help'");
		for (i = 0; i < ARRAY_SIZE(programs); i++)
			printf("complete -c forge -f -n __fish_use_subcommand "
			       "-a %s -d '%s'\n",
				programs[i].name, programs[i].summary);
	} else {
		return usage("no completion for '%s'", shell);
	}
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	static const char completions[] = "--print-completion=";
	struct err err = ERR_INIT;

	main_init("forge");
	if (argc < 2)
		return usage("a command is needed");
	if (!strcmp(argv[1], "--version")) {
		puts("forge " FORGE_VERSION);
		return EXIT_OK;
	}
	if (!strncmp(argv[1], completions, strlen(completions)))
		return completion(argv[1] + strlen(completions));
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
		(!strcmp(argv[1], "help") && argc == 2)) {
		help();
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "help")) {
		(void)man(argv[2], &err);
	} else if (!strcmp(argv[1], "doctor")) {
		argv[0] = argv[1]; /* forge-vm doctor ARG... */
		(void)become("vm", argv, &err);
	} else if (argv[1][0] == '-') {
		return usage("unknown option '%s'", argv[1]);
	} else if (parse_name(argv[1], "COMMAND", &err)) {
		return usage("'%s' is no command", argv[1]);
	} else {
		(void)become(argv[1], argv + 1, &err);
	}
	return err_print(&err);
}
