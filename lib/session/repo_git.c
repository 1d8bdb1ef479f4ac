#include "lib/session/repo.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/identity.h"
#include "lib/session/memfile.h"
#include "lib/session/sshkey.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { GIT_MS = 600000, OUT_MAX = 1 << 20 };

/* What one call gives to ssh and to git's credential helper. */
struct keys {
	struct memfile key; /* a private key, or the public one of an agent */
	struct memfile token;
	char *agent;
};

static void
keys_release(struct keys *k)
{
	memfile_close(&k->key);
	memfile_close(&k->token);
	free(k->agent);
}

static int
take_ssh(const struct repo_git *g, struct keys *k, struct err *err)
{
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	CLEANUP_SECRET struct buf key = BUF_INIT;

	/* Without an identity it is the caller's own agent, if anything. */
	if (!g->identity) {
		k->agent = xstrdup_null(getenv("SSH_AUTH_SOCK"));
		return 0;
	}
	if (identity_get(g->st, g->identity, &id, err))
		return -1;
	k->agent = steal_ptr(&id.agent);
	if (!k->agent && identity_key(g->st, g->identity, &key, err))
		return -1;
	return k->agent ? memfile_open(&k->key, id.public_key,
				  strlen(id.public_key), err) :
			  memfile_open(&k->key, key.s, key.len, err);
}

static int
take_token(const struct repo_git *g, struct keys *k, struct err *err)
{
	CLEANUP_SECRET struct buf token = BUF_INIT, answer = BUF_INIT;
	struct err why = ERR_INIT;

	if (!g->identity)
		return 0;
	if (identity_token(g->st, g->identity, &token, &why)) {
		if (why.code == ERR_NOTFOUND)
			return 0; /* the repository may be public */
		*err = why;
		return -1;
	}
	buf_grow(&answer, token.len + 64);
	buf_addf(&answer, "username=x-access-token\npassword=%s\n", token.s);
	return memfile_open(&k->token, answer.s, answer.len, err);
}

/* One word for the shell that git starts ssh with. */
static void
ssh_command(const struct repo_git *g, const struct keys *k, struct buf *out)
{
	static const char *const fixed[] = { "ssh", "-F", "none",
		"-oBatchMode=yes", "-oStrictHostKeyChecking=accept-new",
		"-oGlobalKnownHostsFile=/dev/null", "-oUpdateHostKeys=no",
		"-oIdentitiesOnly=yes", "-oForwardAgent=no",
		"-oClearAllForwardings=yes", "-oConnectTimeout=20",
		"-oServerAliveInterval=20", NULL };
	CLEANUP_ARGV struct argv a = ARGV_INIT;

	argv_pushv(&a, fixed);
	argv_pushf(&a, "-oUserKnownHostsFile=\"%s/known_hosts\"",
		state_path(g->st));
	argv_pushf(&a, "-oIdentityAgent=%s", k->agent ? k->agent : "none");
	argv_pushf(&a, "-oIdentityFile=%s",
		k->key.fd >= 0 ? k->key.path : "none");
	if (!g->identity)
		argv_push(&a, "-oIdentitiesOnly=no");
	argv_quote((const char *const *)a.v, out);
}

static void
environment(const struct repo_git *g, const struct keys *k, struct argv *env)
{
	static const char *const fixed[] = { "LC_ALL=C", "HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=false", "SSH_ASKPASS=false",
		"GIT_ALLOW_PROTOCOL=ssh:https:http:file",
		"GIT_PROTOCOL_FROM_USER=0", "GIT_SSH_VARIANT=ssh",
		"GIT_ADVICE=0", "GIT_NO_REPLACE_OBJECTS=1", NULL };
	static const char *const wanted[] = { "PATH", "HTTPS_PROXY",
		"https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE" };
	CLEANUP_BUF struct buf ssh = BUF_INIT;
	size_t i;

	argv_pushv(env, fixed);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		if (getenv(wanted[i]))
			argv_pushf(env, "%s=%s", wanted[i], getenv(wanted[i]));
	if (getenv("SSL_CERT_FILE"))
		argv_pushf(env, "GIT_SSL_CAINFO=%s", getenv("SSL_CERT_FILE"));
	argv_pushf(env, "GIT_DIR=%s", g->door);
	if (!g->remote || g->remote->kind != REMOTE_SSH)
		return;
	ssh_command(g, k, &ssh);
	argv_pushf(env, "GIT_SSH_COMMAND=%s", ssh.s);
}

/* ---- what went wrong, in a line ---- */

/* The line of said that has what in it, without a "fatal: " before it. */
static char *
line_with(const struct buf *said, const char *what)
{
	const char *at = strstr(said->s, what), *end;

	if (!at)
		return NULL;
	while (at > said->s && at[-1] != '\n' && at[-1] != '\r')
		at--;
	if (!strncmp(at, "fatal: ", 7) || !strncmp(at, "error: ", 7))
		at += 7;
	end = at + strcspn(at, "\r\n");
	return xstrndup(at, (size_t)(end - at));
}

static int
no_access(const struct repo_git *g, struct err *err)
{
	if (!g->identity)
		return err_set(err, ERR_AUTH,
			"'%s' wants a key: choose an identity (--identity)",
			g->remote->url);
	return err_set(err, ERR_AUTH,
		"'%s' does not accept identity '%s': give that host the line "
		"of 'forge-session identity show %s -q .public_key'",
		g->remote->url, g->identity, g->identity);
}

struct complaint {
	const char *said;
	enum err_code code;
};

static const struct complaint complaints[] = {
	{ "error: object ", ERR_INVALID }, /* of fsckObjects */
	{ "[rejected]", ERR_BUSY },
	{ "[remote rejected]", ERR_BUSY },
	{ "does not appear to be a git repository", ERR_NOTFOUND },
	{ "epository not found", ERR_NOTFOUND },
	{ "' not found", ERR_NOTFOUND },
	{ "Could not resolve host", ERR_NET },
	{ "Connection refused", ERR_NET },
	{ "timed out", ERR_NET },
	{ "Network is unreachable", ERR_NET },
	{ "No route to host", ERR_NET },
	{ "Failed to connect", ERR_NET },
	{ "Connection reset", ERR_NET },
	{ "early EOF", ERR_NET },
	{ "hung up unexpectedly", ERR_NET },
	{ "fatal: ", ERR_SYS },
	{ "error: ", ERR_SYS },
};

static int
explain(const struct repo_git *g, const struct buf *said, struct err *err)
{
	const char *url = g->remote ? g->remote->url : g->door;
	size_t i;

	if (strstr(said->s, "HOST IDENTIFICATION HAS CHANGED"))
		return err_set(err, ERR_AUTH,
			"the host key of '%s' has changed: nothing was sent; "
			"if it should have, remove the old one with "
			"'ssh-keygen -R' from '%s/known_hosts'",
			g->remote ? g->remote->host : url, state_path(g->st));
	if (g->remote && (strstr(said->s, "Permission denied (") ||
				 strstr(said->s, "Authentication failed") ||
				 strstr(said->s, "could not read Username")))
		return no_access(g, err);
	for (i = 0; i < ARRAY_SIZE(complaints); i++) {
		CLEANUP_FREE char *line = line_with(said, complaints[i].said);

		if (line)
			return err_set(err, complaints[i].code,
				"git at '%s': %.300s", url, line);
	}
	return err_wrap(err, "git at '%s'", url);
}

static int
call(const struct repo_git *g, const struct keys *k, const struct argv *words,
	struct buf *out, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf said = BUF_INIT;

	argv_push(&p.argv, "git");
	if (k->token.fd >= 0) {
		argv_push(&p.argv, "-c");
		argv_pushf(&p.argv, "credential.helper=!f() { test \"$1\" = "
			"get && cat %s; }; f", k->token.path);
	}
	argv_pushv(&p.argv, (const char *const *)words->v);
	environment(g, k, &p.env);
	p.clear_env = true;
	p.new_session = true;
	p.new_group = true;
	p.parent_death = SIGTERM; /* whoever waits for it may be stopped */
	p.said = &said;
	if (!proc_run(&p, g->input, out, g->max ? g->max : OUT_MAX,
		    g->timeout_ms ? g->timeout_ms : GIT_MS, err))
		return 0;
	return err->code == ERR_SYS ? explain(g, &said, err) :
				      err_wrap(err, "%s", g->door);
}

int
repo_git(const struct repo_git *g, const struct argv *words, struct buf *out,
	struct err *err)
{
	struct keys k = { .key = MEMFILE_INIT, .token = MEMFILE_INIT };
	int rc = 0;

	if (g->remote && g->remote->kind == REMOTE_SSH)
		rc = take_ssh(g, &k, err);
	else if (g->remote && g->remote->kind == REMOTE_HTTP)
		rc = take_token(g, &k, err);
	if (!rc)
		rc = call(g, &k, words, out, err);
	keys_release(&k);
	return rc;
}
