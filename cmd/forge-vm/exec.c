#include "cmd/forge-vm/forge-vm.h"
#include "cmd/forge-vm/exec_options.h"

#include <fcntl.h>
#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/supervise.h"
#include "lib/base/banned.h"

char **exec_arg_env;
int exec_arg_env_fd = -1;
char *exec_arg_workdir, *exec_arg_user;
int exec_arg_tty;

const struct poptOption exec_options[] = { EXEC_OPTIONS, POPT_TABLEEND };

int
exec_request_make(const char *const *command,
	const struct image_config *image, struct argv *env,
	struct exec_request *ret, struct err *err)
{
	char **e;

	argv_pushv(env, (const char *const *)image->env.v);
	for (e = exec_arg_env; e && *e; e++) {
		if (!strchr(*e, '=') || **e == '=')
			return err_set(err, ERR_USAGE,
				"--env: '%.80s' is not NAME=VALUE", *e);
		argv_push(env, *e);
	}
	if (exec_arg_env_fd >= 0 &&
		(fd_cloexec(exec_arg_env_fd, true) ||
			fd_nonblock(exec_arg_env_fd, true))) {
		(void)err_sys(err, "--env-fd %d", exec_arg_env_fd);
		err->code = ERR_USAGE;
		return -1;
	}
	*ret = (struct exec_request){ .argv = command, .env = env,
		.workdir = exec_arg_workdir ? exec_arg_workdir :
					      image->workdir,
		.user = exec_arg_user ? exec_arg_user : image->user,
		.env_fd = exec_arg_env_fd, .tty = exec_arg_tty != 0 };
	return 0;
}

int
cmd_exec(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_ARGV struct argv env = ARGV_INIT;
	CLEANUP_IMAGE_CONFIG struct image_config image = IMAGE_CONFIG_INIT;
	struct exec_request request;
	const char **command;
	int n = argc - 1, sock, status;

	if (parse_name(argv[0], "NAME", err))
		return err_status(err->code);
	command = cmd_command(&n, argv + 1);
	if (!n)
		return cmd_usage(err, "exec: a command is needed");
	if (state_open(&st, err) ||
		image_config_defaults(st, argv[0], &image, err))
		return EXIT_PLACE;
	if (exec_request_make(command, &image, &env, &request, err))
		return err->code == ERR_USAGE ? EXIT_USAGE : EXIT_PLACE;
	if (supervisor_connect(st, argv[0], &sock, err) ||
		exec_client_run(&request, sock, &status, err))
		return EXIT_PLACE;
	return status;
}
