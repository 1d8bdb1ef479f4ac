/*
 * garm-provider-forge: microVMs for garm.  See garm-provider-forge(8).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/runner/garm.h"
#include "lib/runner/garm_provider.h"
#include "lib/base/banned.h"

static int
failed(struct err *err)
{
	enum err_code code = err->code;
	int status = err_print(err);

	return code == ERR_NOTFOUND ? GARM_NOT_FOUND :
		code == ERR_EXISTS  ? GARM_EXISTS :
				      status;
}

int
main(int argc, char **argv)
{
	CLEANUP_GARM_ENV struct garm_env e = GARM_ENV_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	main_init("garm-provider-forge");
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("garm-provider-forge " FORGE_VERSION);
		return EXIT_OK;
	}
	if (garm_env_load(&e, &err) ||
		garm_provide(&e, STDIN_FILENO, &out, &err))
		return failed(&err);
	if (out.len)
		puts(out.s);
	return EXIT_OK;
}
