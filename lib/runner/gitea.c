#include "lib/runner/gitea.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

#define API "/api/v1"
#define REGISTER "/api/actions/runner.v1.RunnerService/Register"

enum { PAGE = 50, PAGES_MAX = 200, WORD_MAX = 256 };

/* The API without what is the API's: act_runner's "instance". */
static char *
instance(const struct github *gh)
{
	size_t n = strlen(gh->api), m = strlen(API);

	return xstrndup(gh->api,
		n > m && !strcmp(gh->api + n - m, API) ? n - m : n);
}

/* A call below the runners of scope; what: "", "/7", "?limit=50". */
static int
ask(struct github *gh, const char *scope, struct github_call *call,
	const char *what, struct json **ret, struct err *err)
{
	CLEANUP_EXTRA struct github_extra extra = GITHUB_EXTRA_INIT;
	CLEANUP_FREE char *account = NULL, *path = NULL;

	if (!strncmp(scope, "enterprise:", 11))
		return err_set(err, ERR_USAGE,
			"'%s': a Gitea has organizations and repositories",
			scope);
	if (github_account(scope, &account, err))
		return -1;
	path = xasprintf("/%s/actions/runners%s", account, what);
	call->path = path;
	return github_call_for(gh, account, call, ret, &extra, err);
}

/* ---- registration ---- */

static int
registration_token(struct github *gh, const char *scope, char **ret,
	struct err *err)
{
	struct github_call call = { .method = "POST", .retry = GITHUB_RETRY,
		.rate = RATE_WRITE };
	CLEANUP_JSON struct json *j = NULL;
	const char *token;

	if (ask(gh, scope, &call, "/registration-token", &j, err))
		return -1;
	token = j ? json_str(j, "token", "") : "";
	if (!*token || !token_sound(token))
		return err_set(err, ERR_INVALID,
			"Gitea's answer has no registration token");
	*ret = xstrdup(token);
	return 0;
}

static int
call_register(struct github *gh, const char *name, const char *token,
	const struct json *labels, struct json **ret, struct err *err)
{
	CLEANUP_EXTRA struct github_extra extra = GITHUB_EXTRA_INIT;
	CLEANUP_JSON struct json *body = json_object();
	CLEANUP_FREE char *base = instance(gh);
	struct github_call call = { .method = "POST", .base = base,
		.path = REGISTER, .body = body, .retry = GITHUB_RETRY_503,
		.rate = RATE_MINT };

	json_put_str(body, "name", name);
	json_put_str(body, "token", token);
	json_put_str(body, "version", "forge-" FORGE_VERSION);
	json_put(body, "labels", json_get(labels, ""));
	json_put_bool(body, "ephemeral", true);
	if (github_call(gh, &call, ret, &extra, err))
		return -1;
	return *ret ? 0 : err_set(err, ERR_INVALID, "Gitea's answer is empty");
}

/* Numbers of 64 bits are strings in JSON made of protobuf. */
static int
id_of(const struct json *j, int64_t *ret, struct err *err)
{
	const char *s = json_str(j, "runner.id", NULL);
	struct err why = ERR_INIT;
	int64_t id = json_int(j, "runner.id", 0);

	if ((s && parse_i64(s, 1, INT64_C(1) << 53, "id", &id, &why)) ||
		id < 1)
		return err_set(err, ERR_INVALID,
			"Gitea's answer has no sound runner.id");
	*ret = id;
	return 0;
}

/* As act_runner wants them: its own host runs the job, and that is the
 * place. */
static struct json *
local_labels(const struct json *labels)
{
	struct json *a = json_array();
	size_t i, n = json_len(labels, "");

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *label = json_at(labels, i);
		CLEANUP_FREE char *text = xasprintf("%s:host",
			json_str(label, "", ""));

		json_push_str(a, text);
	}
	return a;
}

/* Of an old server: it would take a second job. */
static int
check_ephemeral(const struct json *j, struct err *err)
{
	return json_bool(j, "runner.ephemeral", false) ? 0 :
		err_set(err, ERR_INVALID, "this Gitea knows no ephemeral "
			"runners: 1.24 or later is needed");
}

static int
runner_file(const struct github *gh, const struct json *j, const char *name,
	const struct json *labels, int64_t id, char **ret, struct err *err)
{
	const char *uuid = json_str(j, "runner.uuid", "");
	const char *token = json_str(j, "runner.token", "");
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL, *base = instance(gh);
	CLEANUP_BUF struct buf coded = BUF_INIT;

	if (!*uuid || strlen(uuid) > WORD_MAX || !*token ||
		strlen(token) > WORD_MAX || !token_sound(token))
		return err_set(err, ERR_INVALID,
			"Gitea's answer has no sound runner");
	json_put_int(o, "id", id);
	json_put_str(o, "uuid", uuid);
	json_put_str(o, "name", name);
	json_put_str(o, "token", token);
	json_put_str(o, "address", base);
	json_put(o, "labels", local_labels(labels));
	json_put_bool(o, "ephemeral", true);
	text = json_text(o);
	base64_add(&coded, text, strlen(text));
	explicit_bzero(text, strlen(text));
	*ret = buf_detach(&coded);
	return 0;
}

int
gitea_register(struct github *gh, const char *scope, const char *name,
	const struct json *labels, int64_t *ret_id, char **ret_config,
	struct err *err)
{
	CLEANUP_JSON struct json *j = NULL;
	CLEANUP_FREE char *token = NULL;
	struct github_runner old;
	struct err why = ERR_INIT;
	int rc;

	/* Names need not be one's own there: what is lost is found here. */
	if (!gitea_find(gh, scope, name, &old, &why))
		return err_set(err, ERR_EXISTS,
			"'%s' has a runner '%s' already", scope, name);
	if (why.code != ERR_NOTFOUND) {
		*err = why;
		return -1;
	}
	if (registration_token(gh, scope, &token, err))
		return -1;
	rc = call_register(gh, name, token, labels, &j, err);
	explicit_bzero(token, strlen(token));
	return rc || id_of(j, ret_id, err) || check_ephemeral(j, err) ||
			runner_file(gh, j, name, labels, *ret_id, ret_config,
				err) ?
		-1 :
		0;
}

/* ---- the list ---- */

int
gitea_find(struct github *gh, const char *scope, const char *name,
	struct github_runner *ret, struct err *err)
{
	size_t n = 1, i;
	int page;

	for (page = 1; n && page <= PAGES_MAX; page++) {
		CLEANUP_FREE char *what = xasprintf("?limit=%d&page=%d", PAGE,
			page);
		struct github_call call = { .method = "GET",
			.retry = GITHUB_RETRY, .rate = RATE_READ };
		CLEANUP_JSON struct json *j = NULL, *rows = NULL;

		if (ask(gh, scope, &call, what, &j, err))
			return -1;
		rows = j ? json_get(j, "runners") : NULL;
		n = rows ? json_len(rows, "") : 0;
		for (i = 0; i < n; i++) {
			CLEANUP_JSON struct json *row = json_at(rows, i);

			if (!strcmp(json_str(row, "name", ""), name))
				return answer_runner(row, ret, err);
		}
	}
	return err_set(err, ERR_NOTFOUND, "no runner '%s' at Gitea", name);
}

/* ---- the end ---- */

/* It gets no job from now on; a server that cannot is not asked for more. */
static int
disable(struct github *gh, const char *scope, const char *what,
	struct err *err)
{
	CLEANUP_JSON struct json *body = json_object(), *j = NULL;
	struct github_call call = { .method = "PATCH", .body = body,
		.retry = GITHUB_RETRY, .rate = RATE_WRITE };
	struct err why = ERR_INIT;

	json_put_bool(body, "disabled", true);
	if (!ask(gh, scope, &call, what, &j, &why) ||
		why.code == ERR_NOTFOUND || why.code == ERR_INVALID)
		return 0;
	*err = why;
	return -1;
}

int
gitea_remove(struct github *gh, const char *scope, int64_t id,
	struct err *err)
{
	CLEANUP_FREE char *what = xasprintf("/%" PRId64, id);
	struct github_call call = { .method = "DELETE",
		.retry = GITHUB_RETRY, .rate = RATE_WRITE };
	CLEANUP_JSON struct json *j = NULL;
	struct github_runner at;
	struct err why = ERR_INIT;

	if (disable(gh, scope, what, err))
		return -1;
	if (!github_runner_get(gh, scope, id, &at, &why)) {
		if (at.busy)
			return err_set(err, ERR_BUSY,
				"runner %" PRId64 " of '%s' has a job", id,
				scope);
		if (!ask(gh, scope, &call, what, &j, &why))
			return 0;
	}
	if (why.code == ERR_NOTFOUND)
		return 0;
	*err = why;
	return -1;
}
