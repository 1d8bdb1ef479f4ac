#include "cmd/forge-session/forge-session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/base/signals.h"
#include "lib/net/listen.h"
#include "lib/session/api_key.h"
#include "lib/session/provider.h"
#include "lib/session/proxy.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_listen;
static int arg_fd = -1;

const struct poptOption proxy_options[] = {
	{ "listen", 'l', POPT_ARG_STRING, &arg_listen, 0,
		"where (default: a free port of 127.0.0.1)", "ADDR:PORT" },
	{ "listen-fd", 0, POPT_ARG_INT, &arg_fd, 0,
		"this socket listens already, and stdin has the token", "N" },
	POPT_TABLEEND
};

int
cmd_key(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf key = BUF_INIT;
	int rc;

	(void)argc;
	buf_grow(&key, API_KEY_MAX + 1);
	rc = parse_name(argv[0], "PROVIDER", err) ||
		buf_read_fd(&key, STDIN_FILENO, API_KEY_MAX, "stdin", err) ||
		state_open(&st, err) ||
		api_key_put(st, argv[0], &key, err);
	explicit_bzero(key.s, key.len);
	return rc ? err_status(err->code) : EXIT_OK;
}

/* The agent's environment, and then the proxy, until a signal. */
static int
announce(const struct proxy *p, struct err *err)
{
	CLEANUP_ARGV struct argv env = ARGV_INIT;
	size_t i;

	if (proxy_env(p, &env, NULL, err))
		return -1;
	for (i = 0; i < env.n; i++)
		printf("%s\n", env.v[i]);
	return fflush(stdout) ? err_sys(err, "cannot write to stdout") : 0;
}

static int
ready(struct proxy *p, char **ret_token, struct err *err)
{
	CLEANUP_BUF struct buf token = BUF_INIT;

	if (arg_fd >= 0) {
		p->listen = arg_fd;
		if (buf_read_fd(&token, STDIN_FILENO, 256, "stdin", err))
			return -1;
		buf_rtrim(&token);
		if (!token.len)
			return err_set(err, ERR_USAGE, "no token on stdin");
		p->token = *ret_token = buf_detach(&token);
		return fd_cloexec(arg_fd, true) ?
			err_sys(err, "--listen-fd %d", arg_fd) : 0;
	}
	p->token = *ret_token = random_name(40);
	if (listen_open(arg_listen ? arg_listen : "127.0.0.1:0", &p->listen,
		    err))
		return -1;
	return announce(p, err);
}

int
cmd_proxy(int argc, const char **argv, struct err *err)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_PROVIDER struct provider provider = PROVIDER_INIT;
	CLEANUP_API_KEY struct api_key key = API_KEY_INIT;
	CLEANUP_FREE char *token = NULL;
	CLEANUP_CLOSE int signals = -1;
	struct proxy p = { .key = &key, .out = STDOUT_FILENO };

	(void)argc;
	if (state_open(&st, err) || provider_load(st, argv[0], &provider, err) ||
		api_key_load(st, &provider, &key, err))
		return err_status(err->code);
	if (!key.key && err_set(err, ERR_NOTFOUND,
			"no key for '%s': forge-session key %s, or "
			"provider.%s.key-file", argv[0], argv[0], argv[0]))
		return err_status(err->code);
	if (signals_open(list, &signals, err))
		return err_status(err->code);
	p.until = signals;
	if (ready(&p, &token, err) || proxy_run(&p, err))
		return err_status(err->code);
	return EXIT_OK;
}
