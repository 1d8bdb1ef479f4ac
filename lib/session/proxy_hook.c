#include "lib/session/proxy_hook.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/api_key.h"
#include "lib/session/provider.h"
#include "lib/session/proxy.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define END_MS 2000

struct own {
	struct child child;
	struct argv env, args; /* for the agent */
};

static void
free_own(struct own *own)
{
	child_close(&own->child);
	argv_release(&own->env);
	argv_release(&own->args);
	free(own);
}

/* The token goes by a pipe, since others may read arguments. */
static int
give_token(struct own *own, const char *token, struct err *err)
{
	int rc = write_all(own->child.in, token, strlen(token));

	if (close(steal_fd(&own->child.in)) || rc)
		return err_sys(err, "cannot tell the proxy its token");
	return 0;
}

static int
spawn(struct engine *e, struct own *own, const struct proxy *p,
	struct err *err)
{
	CLEANUP_PROC struct proc proc = PROC_INIT;
	CLEANUP_FREE char *program = NULL;
	CLEANUP_FREE char *path = xasprintf("session/%s/api.ndjson",
		engine_session(e)->id);
	CLEANUP_CLOSE int out = openat(state_dir(engine_state(e)), path,
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (out < 0)
		return err_sys(err, "cannot write '%s'", path);
	if (find_program("forge-session", &program, err))
		return -1;
	argv_pushv(&proc.argv, (const char *[]){ program, "proxy", "-C",
				       state_path(engine_state(e)), NULL });
	argv_pushf(&proc.argv, "--listen-fd=%d", p->listen);
	argv_pushv(&proc.argv, (const char *[]){ "--",
				       engine_provider(e)->name, NULL });
	proc.in = PROC_PIPE;
	proc.out = out;
	proc.pass[proc.npass++] = p->listen;
	proc.new_group = true; /* a ^C is for the supervisor to decide */
	proc.parent_death = SIGTERM;
	return proc_spawn(&proc, &own->child, err) ||
			give_token(own, p->token, err) ?
		-1 :
		0;
}

/*
 * The agent need not wait until the proxy is up: the socket listens from
 * here on.
 */
static int
begin(struct engine *e, const struct api_key *key, struct own *own,
	struct err *err)
{
	CLEANUP_FREE char *token = random_name(40);
	CLEANUP_CLOSE int fd = -1;
	struct proxy p = { .key = key, .token = token };

	if (engine_listen(e, &fd, err))
		return -1;
	p.listen = fd;
	engine_secret(e, "API key", key->key);
	engine_secret(e, "proxy token", token);
	if (proxy_env(&p, &own->env, &own->args, err) || spawn(e, own, &p, err))
		return err_wrap(err, "proxy");
	return 0;
}

static int
open_it(struct engine *e, void **ret_own, struct err *err)
{
	CLEANUP_API_KEY struct api_key key = API_KEY_INIT;
	struct own *own;

	if (api_key_load(engine_state(e), engine_provider(e), &key, err))
		return -1;
	if (!key.key)
		return 0;
	own = xcalloc(1, sizeof(*own));
	*own = (struct own){ .child = CHILD_INIT, .env = ARGV_INIT,
		.args = ARGV_INIT };
	*ret_own = own;
	return begin(e, &key, own, err);
}

static void
add_env(struct engine *e, void *data, struct argv *ret, struct argv *args)
{
	struct own *own = data;

	(void)e;
	if (!own)
		return;
	argv_pushv(ret, (const char *const *)own->env.v);
	argv_pushv(args, (const char *const *)own->args.v);
}

static void
close_it(struct engine *e, void *data)
{
	struct own *own = data;
	struct proc_status status;
	struct err err = ERR_INIT;

	if (!own)
		return;
	if (proc_stop(&own->child, END_MS, &status, &err))
		log_warning("session.proxy", "id", engine_session(e)->id,
			"error", err.msg, NULL);
	free_own(own);
}

const struct engine_hook proxy_hook = {
	.name = "proxy",
	.open = open_it,
	.env = add_env,
	.close = close_it,
};
