#include "lib/runner/garm_place.h"

#include <fcntl.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/runner/garm_call.h"
#include "lib/runner/github.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

enum { CA_MAX = 1 << 20 };

/* https://github.com/acme/app, or what that is at another server. */
static char *
repo_url(const char *api, const char *scope)
{
	static const char *const suffixes[] = { "/api/v3", "/api/v1" };
	const char *name = strchr(scope, ':') + 1;
	const char *kind = !strncmp(scope, "enterprise:", 11) ?
		"enterprises/" : "";
	size_t n = strlen(api), i;

	if (!strcmp(api, "https://api.github.com"))
		return xasprintf("https://github.com/%s%s", kind, name);
	for (i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t m = strlen(suffixes[i]);

		if (n > m && !strcmp(api + n - m, suffixes[i]))
			n -= m;
	}
	return xasprintf("%.*s/%s%s", (int)n, api, kind, name);
}

static int
ask_github(struct state *st, const struct garm_run *run, struct json *o,
	struct err *err)
{
	CLEANUP_GITHUB struct github *gh = NULL;
	CLEANUP_REPLY struct github_reply reply = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *account = NULL, *path = NULL, *url = NULL;

	if (github_open(st, run->github, &gh, err) ||
		github_account(run->scope, &account, err))
		return -1;
	path = xasprintf("/%s/actions/runners/downloads", account);
	if (github_get(gh, run->scope, path, NULL, &reply, err))
		return -1;
	json_put(o, "tools", reply.json ? json_get(reply.json, "") :
		json_array());
	url = repo_url(github_api(gh), run->scope);
	json_put_str(o, "repo_url", url);
	return 0;
}

static int
put_ca(const struct garm *g, struct json *o, struct err *err)
{
	CLEANUP_BUF struct buf pem = BUF_INIT, coded = BUF_INIT;

	if (g->ca_file && fs_read(AT_FDCWD, g->ca_file, CA_MAX, &pem, err))
		return err_wrap(err, "garm '%s': ca-file", g->name);
	base64_add(&coded, pem.s, pem.len);
	json_put_str(o, "ca-cert-bundle", coded.s);
	return 0;
}

static void
put_labels(const char *list, struct json *o)
{
	CLEANUP_ARGV struct argv labels = ARGV_INIT;
	struct json *a = json_array();
	size_t i;

	argv_splitc(&labels, list, ',');
	for (i = 0; i < labels.n; i++)
		json_push_str(a, labels.v[i]);
	json_put(o, "labels", a);
}

int
garm_bootstrap(struct state *st, const struct garm *g,
	const struct garm_run *run, const char *pool_id, const char *token,
	struct json **ret, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	struct json *options = json_object();

	json_put_str(o, "name", run->name);
	json_put_str(o, "callback-url", g->callback_url);
	json_put_str(o, "metadata-url", g->metadata_url);
	json_put_str(o, "instance-token", token);
	json_put(o, "ssh-keys", json_array());
	json_put(o, "extra_specs", json_get(g->specs, ""));
	json_put_str(o, "github-runner-group", "");
	json_put_str(o, "arch", g->os_arch);
	json_put_str(o, "os_type", g->os_type);
	json_put_str(o, "flavor", g->flavor);
	json_put_str(o, "image", g->image);
	json_put_str(o, "pool_id", pool_id);
	json_put_bool(options, "disable_updates_on_boot", false);
	json_put(options, "extra_packages", json_array());
	json_put_bool(options, "enable_boot_debug", false);
	json_put(o, "user_data_options", options);
	json_put_bool(o, "jit_config_enabled", true);
	json_put(o, "proxy_config", json_object());
	put_labels(run->labels, o);
	if (put_ca(g, o, err) || ask_github(st, run, o, err))
		return -1;
	*ret = steal_ptr(&o);
	return 0;
}
