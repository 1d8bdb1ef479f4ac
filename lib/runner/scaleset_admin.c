#include "lib/runner/scaleset_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/runner/github_internal.h"
#include "lib/base/banned.h"

enum { ANSWER_MAX = 4 << 20 };
#define VERSION "api-version=6.0-preview"

static void
drop(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void
scaleset_release(struct scaleset *s)
{
	drop(&s->token);
	drop(&s->queue_token);
	free(s->url);
	free(s->session);
	free(s->queue);
	*s = (struct scaleset){ .cancel = -1 };
}

/* ---- one call ---- */

static void
headers_of(const struct scaleset_call *call, struct argv *out)
{
	argv_pushf(out, "Authorization: %s %s",
		call->scheme ? call->scheme : "Bearer", call->token);
	argv_push(out, "Accept: application/json; " VERSION);
	if (call->body)
		argv_push(out, "Content-Type: application/json");
	if (call->capacity >= 0)
		argv_pushf(out, "X-ScaleSetMaxCapacity: %d", call->capacity);
}

/* The path only: what follows may be a session's name. */
static int
refused(const struct scaleset_call *call, const struct http_answer *a,
	struct err *err)
{
	CLEANUP_FREE char *message = answer_message(&a->body);

	return err_set(err, answer_code(a->status), "%s '%.*s' failed: %d: %s",
		call->method, (int)strcspn(call->url, "?"), call->url,
		a->status, message);
}

int
scaleset_call(struct scaleset *s, const struct scaleset_call *call,
	struct json **ret, int *ret_status, struct err *err)
{
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP_ARGV struct argv headers = ARGV_INIT;
	CLEANUP_BUF struct buf body = BUF_INIT;
	struct http_request q = { .method = call->method, .url = call->url,
		.headers = &headers, .max = ANSWER_MAX, .once = call->once,
		.timeout_ms = call->timeout_ms, .cancel = s->cancel + 1 };
	struct err unused = ERR_INIT;
	int rc;

	*ret_status = 0;
	headers_of(call, &headers);
	if (call->body) {
		json_write(call->body, &body);
		json_free(call->body);
		q.body = &body;
	}
	rc = github_ready(s->gh, err) ? -1 :
		http_call(s->gh->http, &q, &a, err);
	explicit_bzero(headers.v[0], strlen(headers.v[0]));
	if (rc)
		return -1;
	*ret_status = a.status;
	if (a.status < 200 || a.status > 299)
		return refused(call, &a, err);
	if (ret && a.body.len && json_parse(a.body.s, a.body.len, ret, &unused))
		return err_set(err, ERR_INVALID,
			"the answer of %s '%.*s' is not JSON", call->method,
			(int)strcspn(call->url, "?"), call->url);
	return 0;
}

/* ---- the connection ---- */

/* Where people see the scope: github.com, or the host of api. */
static char *
web_url(const struct scaleset *s)
{
	static const char public_api[] = "https://api.github.com";
	const char *api = s->gh->api, *name = strchr(s->pool->scope, ':') + 1;
	size_t n = strlen(api);
	const char *tail = strstr(api, "/api/v3");

	if (tail && !tail[strlen("/api/v3")])
		n = (size_t)(tail - api);
	return xasprintf("%.*s/%s%s", strcmp(api, public_api) ? (int)n : 18,
		strcmp(api, public_api) ? api : "https://github.com",
		strncmp(s->pool->scope, "enterprise:", 11) ? "" :
		"enterprises/", name);
}

static int
connect_admin(struct scaleset *s, struct err *err)
{
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *account = NULL, *path = NULL, *url = NULL;
	CLEANUP_FREE char *web = web_url(s);
	CLEANUP_JSON struct json *j = NULL;
	struct scaleset_call call = { .method = "POST", .capacity = -1,
		.scheme = "RemoteAuth" };
	const char *at;
	int status;

	if (github_account(s->pool->scope, &account, err))
		return -1;
	path = xasprintf("/%s/actions/runners/registration-token", account);
	url = xasprintf("%s/actions/runner-registration", s->gh->api);
	if (github_post(s->gh, s->pool->scope, path, &r, err))
		return -1;
	call.token = r.json ? json_str(r.json, "token", "") : "";
	call.url = url;
	call.body = json_object();
	json_put_str(call.body, "url", web);
	json_put_str(call.body, "runner_event", "register");
	if (scaleset_call(s, &call, &j, &status, err))
		return -1;
	at = j ? json_str(j, "url", "") : "";
	if (!*at || http_check_url(at, err) ||
		!token_sound(json_str(j, "token", "")))
		return err_set(err, ERR_INVALID,
			"GitHub's answer has no sound url and token of the "
			"Actions service");
	drop(&s->token);
	free(s->url);
	s->url = xstrndup(at, strlen(at) - (at[strlen(at) - 1] == '/'));
	s->token = xstrdup(json_str(j, "token", ""));
	return 0;
}

static int
admin_once(struct scaleset *s, const char *method, const char *rest,
	const struct json *body, bool once, struct json **ret,
	int *ret_status, struct err *err)
{
	CLEANUP_FREE char *url = xasprintf("%s/_apis/runtime/%s%c" VERSION,
		s->url, rest, strchr(rest, '?') ? '&' : '?');
	struct scaleset_call call = { .method = method, .url = url,
		.token = s->token, .capacity = -1, .once = once,
		.body = body ? json_get(body, "") : NULL };

	return scaleset_call(s, &call, ret, ret_status, err);
}

static int
admin(struct scaleset *s, const char *method, const char *rest,
	const struct json *body, bool once, struct json **ret,
	int *ret_status, struct err *err)
{
	*ret_status = 0;
	if (!s->token && connect_admin(s, err))
		return -1;
	if (!admin_once(s, method, rest, body, once, ret, ret_status, err))
		return 0;
	if (*ret_status != 401 && *ret_status != 403)
		return -1;
	*err = ERR_INIT;
	if (connect_admin(s, err))
		return -1;
	return admin_once(s, method, rest, body, once, ret, ret_status, err);
}

/* ---- the set ---- */

static int
find_group(struct scaleset *s, struct err *err)
{
	CLEANUP_BUF struct buf rest = BUF_INIT;
	CLEANUP_JSON struct json *j = NULL, *list = NULL, *row = NULL;
	int status;

	s->group = 1;
	if (!s->pool->group)
		return 0;
	buf_adds(&rest, "runnergroups/?groupName=");
	http_escape(&rest, s->pool->group);
	if (admin(s, "GET", rest.s, NULL, false, &j, &status, err))
		return -1;
	list = j ? json_get(j, "value") : NULL;
	row = list ? json_at(list, 0) : NULL;
	s->group = row ? json_int(row, "id", 0) : 0;
	return s->group > 0 ? 0 : err_set(err, ERR_NOTFOUND,
		"'%s' has no runner group '%s'", s->pool->scope,
		s->pool->group);
}

static int
make_set(struct scaleset *s, struct err *err)
{
	CLEANUP_JSON struct json *body = json_object(), *j = NULL;
	struct json *labels = json_array(), *setting = json_object();
	const struct argv *more = &s->pool->scale_labels;
	size_t i;
	int status;

	for (i = 0; i <= more->n; i++) {
		struct json *label = json_object();

		json_put_str(label, "name", i ? more->v[i - 1] :
			s->pool->scale_set);
		json_put_str(label, "type", "System");
		json_push(labels, label);
	}
	json_put_bool(setting, "disableUpdate", true);
	json_put_str(body, "name", s->pool->scale_set);
	json_put_int(body, "runnerGroupId", s->group);
	json_put(body, "labels", labels);
	json_put(body, "RunnerSetting", setting);
	if (admin(s, "POST", "runnerscalesets", body, true, &j, &status, err))
		return -1;
	s->id = j ? json_int(j, "id", 0) : 0;
	return s->id > 0 ? 0 : err_set(err, ERR_INVALID,
		"GitHub's answer has no sound id of the scale set");
}

static int
find_set(struct scaleset *s, struct err *err)
{
	CLEANUP_JSON struct json *j = NULL, *list = NULL, *row = NULL;
	CLEANUP_BUF struct buf rest = BUF_INIT;
	int status;

	if (find_group(s, err))
		return -1;
	buf_addf(&rest, "runnerscalesets?runnerGroupId=%" PRId64 "&name=",
		s->group);
	http_escape(&rest, s->pool->scale_set);
	if (admin(s, "GET", rest.s, NULL, false, &j, &status, err))
		return -1;
	list = j ? json_get(j, "value") : NULL;
	row = list ? json_at(list, 0) : NULL;
	s->id = row ? json_int(row, "id", 0) : 0;
	return s->id > 0 ? 0 : make_set(s, err);
}

int
scaleset_api(struct scaleset *s, const char *method, const char *rest,
	const struct json *body, bool once, struct json **ret,
	int *ret_status, struct err *err)
{
	CLEANUP_FREE char *path = NULL;

	*ret_status = 0;
	if (!s->id && find_set(s, err))
		return -1;
	path = xasprintf("runnerscalesets/%" PRId64 "/%s", s->id, rest);
	return admin(s, method, path, body, once, ret, ret_status, err);
}

/* ---- runners ---- */

static int
jit_of(const struct json *j, int64_t *ret_id, char **ret_jit,
	struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();

	/* The same under other names. */
	json_put(o, "runner", json_get(j, "runner"));
	json_put_str(o, "encoded_jit_config",
		json_str(j, "encodedJITConfig", ""));
	return answer_jit(o, ret_id, ret_jit, err);
}

int
scaleset_jit(struct state *st, struct github *gh, const struct pool *pool,
	const char *name, int64_t *ret_id, char **ret_jit, struct err *err)
{
	CLEANUP(scaleset_release) struct scaleset s = { .st = st, .gh = gh,
		.pool = pool, .cancel = -1 };
	CLEANUP_JSON struct json *body = json_object(), *j = NULL;
	struct rate_ask ask = { .kind = RATE_MINT, .unpaced = !gh->pace,
		.patience = gh->patience };
	int64_t wait;
	int status;

	json_put_str(body, "name", name);
	json_put_str(body, "workFolder", "_work");
	if (rate_turn(st, gh->name, &ask, &wait, err) ||
		(wait && github_wait(gh, wait, err)) ||
		scaleset_api(&s, "POST", "generatejitconfig", body, true, &j,
			&status, err))
		return -1;
	return j ? jit_of(j, ret_id, ret_jit, err) : err_set(err, ERR_INVALID,
		"GitHub's answer has no sound encodedJITConfig");
}
