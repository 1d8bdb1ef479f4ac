/*
 * exec_options: the options that run and exec share, and what becomes of
 * them.
 */
#ifndef FORGE_VM_EXEC_OPTIONS_H
#define FORGE_VM_EXEC_OPTIONS_H

#include "lib/base/argv.h"
#include "lib/vm/exec_client.h"
#include "lib/vm/image_config.h"

#define EXEC_OPTIONS                                                         \
	{ "env", 'e', POPT_ARG_ARGV, &exec_arg_env, 0,                       \
		"set NAME=VALUE for the command; may be repeated",           \
		"NAME=VALUE" },                                              \
		{ "env-fd", 0, POPT_ARG_INT, &exec_arg_env_fd, 0,            \
			"read more of them from this fd, NUL-separated",     \
			"FD" },                                              \
		{ "workdir", 'w', POPT_ARG_STRING, &exec_arg_workdir, 0,     \
			"directory to start in", "DIR" },                    \
		{ "user", 'u', POPT_ARG_STRING, &exec_arg_user, 0,           \
			"user inside the VM, by name or number", "USER" },   \
	{                                                                    \
		"tty", 't', POPT_ARG_NONE, &exec_arg_tty, 0,                 \
			"give the command a terminal", NULL                  \
	}

extern char **exec_arg_env;
extern int exec_arg_env_fd;
extern char *exec_arg_workdir, *exec_arg_user;
extern int exec_arg_tty;

/*
 * The request for a command: what the image says, unless the options say
 * otherwise.  env is filled; it and the image's must outlive the request.
 * ERR_USAGE for an env that is no NAME=VALUE.
 */
int exec_request_make(const char *const *command,
	const struct image_config *image, struct argv *env,
	struct exec_request *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
