#include "lib/session/pull_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/session/remote.h"
#include "lib/session/sshkey.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static const struct {
	const char *host;
	enum pull_kind kind;
	const char *api;
} known[] = {
	{ "github.com", PULL_GITHUB, "https://api.github.com" },
	{ "ssh.github.com", PULL_GITHUB, "https://api.github.com" },
	{ "gitlab.com", PULL_GITLAB, "https://gitlab.com/api/v4" },
	{ "codeberg.org", PULL_GITEA, "https://codeberg.org/api/v1" },
	{ "gitea.com", PULL_GITEA, "https://gitea.com/api/v1" },
};

static const struct {
	const char *name;
	const char *api; /* below the host */
} kinds[] = {
	[PULL_GITHUB] = { "github", "api/v3" },
	[PULL_GITEA] = { "gitea", "api/v1" },
	[PULL_GITLAB] = { "gitlab", "api/v4" },
};
_Static_assert(ARRAY_SIZE(kinds) == PULL_KIND__MAX, "a kind unnamed");

void
pull_host_release(struct pull_host *h)
{
	free(h->name);
	free(h->api);
	free(h->project);
	free(h->owner);
	secret_release(&h->token);
}

static int
configured(struct config *c, struct pull_host *h, struct err *err)
{
	const char *kind = config_str(c, "git", h->name, "kind", NULL);
	const char *api = config_str(c, "git", h->name, "api", NULL);
	size_t i;

	for (i = 0; !kind && i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].host, h->name)) {
			h->kind = known[i].kind;
			h->api = xstrdup(api ? api : known[i].api);
			return 0;
		}
	for (i = 0; kind && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, kind)) {
			h->kind = (enum pull_kind)i;
			h->api = api ? xstrdup(api) :
				       xasprintf("https://%s/%s", h->name,
					       kinds[i].api);
			return 0;
		}
	return err_set(err, ERR_USAGE,
		"what is '%s'? [git \"%s\"] kind = github, gitea or gitlab in "
		"the configuration says it", h->name, h->name);
}

/* "acme/app": GitHub and Gitea know owner and name, GitLab the whole path. */
static int
project(struct pull_host *h, const struct remote *r, struct err *err)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	const char *name = strrchr(r->path, '/'), *owner;

	if (!name)
		return err_set(err, ERR_USAGE, "'%s' names no owner", r->url);
	owner = memrchr(r->path, '/', (size_t)(name - r->path));
	owner = owner ? owner + 1 : r->path;
	h->owner = xstrndup(owner, (size_t)(name - owner));
	if (h->kind == PULL_GITLAB) {
		buf_adds(&path, "projects/");
		http_escape(&path, r->path);
	} else {
		buf_adds(&path, "repos/");
		http_escape(&path, h->owner);
		buf_addc(&path, '/');
		http_escape(&path, name + 1);
	}
	h->project = buf_detach(&path);
	return 0;
}

int
pull_host_of(struct state *st, const char *url, struct pull_host *ret,
	struct err *err)
{
	CLEANUP_REMOTE struct remote r = REMOTE_INIT;
	struct config *c;
	char *port;

	if (remote_parse(url, &r, err) || state_config(st, &c, err))
		return -1;
	if (r.kind == REMOTE_FILE)
		return err_set(err, ERR_USAGE,
			"'%s' is a path: pull requests are made at a git host",
			r.url);
	ret->name = xstrdup(r.host);
	port = strrchr(ret->name, ':');
	if (port && !strchr(port, ']'))
		*port = '\0';
	if (configured(c, ret, err))
		return -1;
	while (strlen(ret->api) && ret->api[strlen(ret->api) - 1] == '/')
		ret->api[strlen(ret->api) - 1] = '\0';
	ret->ca_file = config_str(c, "git", ret->name, "ca-file", NULL);
	return http_check_url(ret->api, err) || project(ret, &r, err) ? -1 : 0;
}

int
pull_host_token(struct state *st, const struct session *s,
	struct pull_host *h, struct err *err)
{
	struct err why = ERR_INIT;
	struct config *c;
	const char *file;

	if (s->identity &&
		!identity_token(st, s->identity, &h->token, &why))
		return 0;
	if (s->identity && why.code != ERR_NOTFOUND) {
		*err = why;
		return -1;
	}
	if (state_config(st, &c, err))
		return -1;
	file = config_str(c, "git", h->name, "token-file", NULL);
	if (!file)
		return err_set(err, ERR_AUTH,
			"no token for '%s': 'forge-session identity token "
			"NAME' keeps one, or [git \"%s\"] token-file names it",
			h->name, h->name);
	if (fs_read(AT_FDCWD, file, 4096, &h->token, err))
		return err_wrap(err, "token-file of git '%s'", h->name);
	buf_rtrim(&h->token);
	if (strlen(h->token.s) != h->token.len || !h->token.len ||
		strpbrk(h->token.s, "\r\n"))
		return err_set(err, ERR_INVALID,
			"'%s' must hold one token and nothing else", file);
	return 0;
}
