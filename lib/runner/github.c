#include "lib/runner/github_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/runner/gitea.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define PUBLIC_API "https://api.github.com"
#define PAGE 100
#define PAGES_MAX 20

static void
join(const struct argv *list, struct buf *out)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", list->v[i]);
}

/* The section to use, of those that the configuration has. */
static int
choose(struct config *c, const char *name, char **ret, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	CLEANUP_BUF struct buf all = BUF_INIT;
	size_t i;

	config_names(c, "github", &names);
	if (!names.n)
		return err_set(err, ERR_NOTFOUND,
			"no [github \"NAME\"] is configured");
	join(&names, &all);
	if (!name && names.n > 1)
		return err_set(err, ERR_USAGE,
			"several [github \"NAME\"] are configured, say which: "
			"%s", all.s);
	for (i = 0; i < names.n; i++)
		if (!name || !strcmp(names.v[i], name)) {
			*ret = xstrdup(names.v[i]);
			return 0;
		}
	return err_set(err, ERR_NOTFOUND,
		"no [github \"%s\"] is configured, only: %s", name, all.s);
}

static void
read_api(struct config *c, struct github *gh)
{
	const char *api = config_str(c, "github", gh->name, "api", PUBLIC_API);
	size_t n = strlen(api);

	while (n && api[n - 1] == '/')
		n--;
	gh->api = xstrndup(api, n);
}

static int
read_kind(struct config *c, struct github *gh, struct err *err)
{
	const char *kind = config_str(c, "github", gh->name, "kind", "github");

	gh->gitea = !strcmp(kind, "gitea");
	if (!gh->gitea && strcmp(kind, "github") != 0)
		return err_set(err, ERR_INVALID,
			"github '%s': kind '%.20s' is not github or gitea",
			gh->name, kind);
	if (gh->gitea && !config_str(c, "github", gh->name, "api", NULL))
		return err_set(err, ERR_INVALID,
			"github '%s' is a Gitea and has no api", gh->name);
	return 0;
}

static char *
string(struct config *c, const struct github *gh, const char *key)
{
	const char *s = config_str(c, "github", gh->name, key, NULL);

	return s && *s ? xstrdup(s) : NULL;
}

static int
read_who(struct config *c, struct github *gh, struct err *err)
{
	gh->app_id = string(c, gh, "app-id");
	gh->key_file = string(c, gh, "key-file");
	gh->token_file = string(c, gh, "token-file");
	if (config_int(c, "github", gh->name, "installation-id", 0,
		&gh->configured, err))
		return -1;
	if (gh->configured < 0)
		return err_set(err, ERR_INVALID,
			"github '%s': installation-id must be above 0",
			gh->name);
	if (!gh->app_id != !gh->key_file)
		return err_set(err, ERR_INVALID,
			"github '%s' has only one of app-id and key-file",
			gh->name);
	if (!gh->app_id == !gh->token_file)
		return err_set(err, ERR_INVALID,
			"github '%s' needs either app-id and key-file, or "
			"token-file", gh->name);
	return 0;
}

/* GitHub's own rules of pace; GHES has none, and others have none known. */
static bool
has_pace(const char *api)
{
	const char *host = strstr(api, "://");
	size_t n;

	host = host ? host + 3 : api;
	n = strcspn(host, ":/");
	return (n == strlen("api.github.com") &&
			!strncmp(host, "api.github.com", n)) ||
		(n > strlen(".ghe.com") &&
			!strncmp(host + n - strlen(".ghe.com"), ".ghe.com",
				strlen(".ghe.com")));
}

void
github_set_patience(struct github *gh, int64_t ms)
{
	gh->patience = ms;
}

void
github_set_background(struct github *gh)
{
	gh->background = true;
}

void
github_set_cancel(struct github *gh, int fd)
{
	gh->cancel = fd;
}

bool
github_is_gitea(const struct github *gh)
{
	return gh->gitea;
}

const char *
github_name(const struct github *gh)
{
	return gh->name;
}

const char *
github_api(const struct github *gh)
{
	return gh->api;
}

int
github_ready(struct github *gh, struct err *err)
{
	struct config *c;

	if (gh->http)
		return 0;
	if (http_check_url(gh->api, err))
		return err_wrap(err, "api of github '%s'", gh->name);
	if (state_config(gh->st, &c, err))
		return -1;
	return http_open(config_str(c, "github", gh->name, "ca-file", NULL),
		&gh->http, err);
}

int
github_open_later(struct state *st, const char *name, struct github **ret,
	struct err *err)
{
	CLEANUP_GITHUB struct github *gh = xcalloc(1, sizeof(*gh));
	struct config *c;

	gh->st = st;
	gh->patience = GITHUB_PATIENCE;
	gh->cancel = -1;
	if (state_config(st, &c, err) || choose(c, name, &gh->name, err))
		return -1;
	read_api(c, gh);
	if (read_kind(c, gh, err) || read_who(c, gh, err) ||
		config_bool(c, "github", gh->name, "pace",
			has_pace(gh->api), &gh->pace, err))
		return -1;
	*ret = steal_ptr(&gh);
	return 0;
}

int
github_open(struct state *st, const char *name, struct github **ret,
	struct err *err)
{
	CLEANUP_GITHUB struct github *gh = NULL;

	if (github_open_later(st, name, &gh, err) || github_ready(gh, err))
		return -1;
	*ret = steal_ptr(&gh);
	return 0;
}

void
github_close(struct github *gh)
{
	if (!gh)
		return;
	if (gh->token)
		explicit_bzero(gh->token, strlen(gh->token));
	http_close(gh->http);
	free(gh->name);
	free(gh->api);
	free(gh->app_id);
	free(gh->key_file);
	free(gh->token_file);
	free(gh->owner);
	free(gh->token);
	free(gh);
}

void
cleanup_github(struct github **gh)
{
	github_close(*gh);
}

/* A call that is answered with JSON. */
static int
call_scope(struct github *gh, const char *scope, struct github_call *call,
	const char *rest, struct json **ret, struct err *err)
{
	CLEANUP_FREE char *account = NULL, *path = NULL;
	CLEANUP_EXTRA struct github_extra extra = GITHUB_EXTRA_INIT;

	if (github_account(scope, &account, err))
		return -1;
	path = xasprintf("/%s%s", account, rest);
	call->path = path;
	if (github_call_for(gh, account, call, ret, &extra, err))
		return -1;
	if (!*ret && strcmp(call->method, "DELETE") != 0)
		return err_set(err, ERR_INVALID, "the answer of %s '%s' "
			"is empty", call->method, path);
	return 0;
}

static int
get_scope(struct github *gh, const char *scope, const char *rest,
	struct json **ret, struct err *err)
{
	struct github_call call = { .method = "GET", .retry = GITHUB_RETRY,
		.rate = RATE_READ };

	return call_scope(gh, scope, &call, rest, ret, err);
}

int
github_jit(struct github *gh, const char *scope, const char *name,
	int64_t group, const struct json *labels, int64_t *ret_id,
	char **ret_jit, struct err *err)
{
	struct github_call call = { .method = "POST",
		.retry = GITHUB_RETRY_503, .rate = RATE_MINT };
	CLEANUP_JSON struct json *body = json_object(), *j = NULL;

	if (gh->gitea)
		return gitea_register(gh, scope, name, labels, ret_id, ret_jit,
			err);
	json_put_str(body, "name", name);
	json_put_int(body, "runner_group_id", group ? group : 1);
	json_put(body, "labels", json_get(labels, ""));
	json_put_str(body, "work_folder", "_work");
	call.body = body;
	if (call_scope(gh, scope, &call, "/actions/runners/generate-jitconfig",
		&j, err))
		return -1;
	return answer_jit(j, ret_id, ret_jit, err);
}

int
github_runner_find(struct github *gh, const char *scope, const char *name,
	struct github_runner *ret, struct err *err)
{
	CLEANUP_JSON struct json *j = NULL;
	CLEANUP_BUF struct buf rest = BUF_INIT;

	if (gh->gitea)
		return gitea_find(gh, scope, name, ret, err);
	buf_adds(&rest, "/actions/runners?per_page=100&name=");
	http_escape(&rest, name);
	if (get_scope(gh, scope, rest.s, &j, err))
		return -1;
	return answer_runner_named(j, name, ret, err);
}

int
github_runner_get(struct github *gh, const char *scope, int64_t id,
	struct github_runner *ret, struct err *err)
{
	CLEANUP_FREE char *rest = xasprintf("/actions/runners/%lld",
		(long long)id);
	CLEANUP_JSON struct json *j = NULL;

	if (get_scope(gh, scope, rest, &j, err))
		return -1;
	return answer_runner(j, ret, err);
}

int
github_runner_remove(struct github *gh, const char *scope, int64_t id,
	struct err *err)
{
	struct github_call call = { .method = "DELETE",
		.retry = GITHUB_RETRY, .rate = RATE_WRITE };
	CLEANUP_FREE char *rest = xasprintf("/actions/runners/%lld",
		(long long)id);
	CLEANUP_JSON struct json *j = NULL;
	struct err why = ERR_INIT;

	if (gh->gitea)
		return gitea_remove(gh, scope, id, err);
	if (!call_scope(gh, scope, &call, rest, &j, &why) ||
		why.code == ERR_NOTFOUND)
		return 0;
	*err = why;
	return -1;
}

int
github_group(struct github *gh, const char *scope, const char *name,
	int64_t *ret_id, struct err *err)
{
	int64_t id = 0;
	size_t rows = PAGE;
	int page;

	if (!strncmp(scope, "repo:", 5))
		return err_set(err, ERR_USAGE,
			"'%s' has no runner groups: organizations and "
			"enterprises have", scope);
	for (page = 1; !id && rows == PAGE && page <= PAGES_MAX; page++) {
		CLEANUP_FREE char *rest = xasprintf(
			"/actions/runner-groups?per_page=%d&page=%d", PAGE,
			page);
		CLEANUP_JSON struct json *j = NULL;

		if (get_scope(gh, scope, rest, &j, err) ||
			answer_group(j, name, &id, &rows, err))
			return -1;
	}
	if (!id)
		return err_set(err, ERR_NOTFOUND,
			"'%s' has no runner group '%s'", scope, name);
	*ret_id = id;
	return 0;
}

int
github_job(struct github *gh, const char *repo, int64_t id,
	struct json **ret, struct err *err)
{
	CLEANUP_FREE char *scope = xasprintf("repo:%s", repo);
	CLEANUP_FREE char *rest = xasprintf("/actions/jobs/%lld",
		(long long)id);
	CLEANUP_JSON struct json *j = NULL;
	int64_t got;

	if (get_scope(gh, scope, rest, &j, err) || answer_id(j, &got, err))
		return -1;
	if (got != id)
		return err_set(err, ERR_INVALID,
			"GitHub answered with job %lld instead of %lld",
			(long long)got, (long long)id);
	*ret = steal_ptr(&j);
	return 0;
}

int
github_rate(struct github *gh, struct json **ret, struct err *err)
{
	struct github_call call = { .method = "GET", .path = "/rate_limit",
		.retry = GITHUB_RETRY };
	CLEANUP_EXTRA struct github_extra extra = GITHUB_EXTRA_INIT;
	CLEANUP_JSON struct json *j = NULL;

	if (github_call_for(gh, NULL, &call, &j, &extra, err))
		return -1;
	if (!j)
		return err_set(err, ERR_INVALID, "the answer of %s '%s' "
			"is empty", call.method, call.path);
	return answer_rate(j, ret, err);
}
