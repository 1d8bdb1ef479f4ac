#include "lib/runner/github_internal.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define MESSAGE_MAX 200
#define TOKEN_MAX 4096

static int
unexpected(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "GitHub's answer has no sound %s",
		what);
}

bool
token_sound(const char *s)
{
	size_t i;

	for (i = 0; s[i]; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return i && i <= TOKEN_MAX;
}

/* Beyond 2^53 a number of JSON is no longer exact. */
static int
sound_id(const struct json *j, const char *path, int64_t *ret,
	struct err *err)
{
	int64_t id = json_int(j, path, 0);

	if (id <= 0 || id > INT64_C(1) << 53)
		return unexpected(err, path);
	*ret = id;
	return 0;
}

int
answer_id(const struct json *j, int64_t *ret, struct err *err)
{
	return sound_id(j, "id", ret, err);
}

int
answer_runner(const struct json *j, struct github_runner *ret,
	struct err *err)
{
	const char *name = json_str(j, "name", "");
	const char *status = json_str(j, "status", "");
	struct github_runner r = { 0 };

	if (sound_id(j, "id", &r.id, err))
		return -1;
	if (!*name || strlen(name) >= sizeof(r.name))
		return unexpected(err, "name");
	if (!*status)
		return unexpected(err, "status");
	memcpy(r.name, name, strlen(name));
	r.online = !strcmp(status, "online");
	r.busy = json_bool(j, "busy", false);
	*ret = r;
	return 0;
}

/*
 * The list was asked for with name=; a server that does not know that gives
 * the first page of all, where not to be found means nothing.
 */
int
answer_runner_named(const struct json *j, const char *name,
	struct github_runner *ret, struct err *err)
{
	CLEANUP_JSON struct json *rows = json_get(j, "runners");
	int64_t total = json_int(j, "total_count", -1);
	size_t i, n;

	if (!rows || total < 0)
		return unexpected(err, "runners");
	n = json_len(rows, "");
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *row = json_at(rows, i);

		if (!strcmp(json_str(row, "name", ""), name))
			return answer_runner(row, ret, err);
	}
	if ((uint64_t)total > n)
		return err_set(err, ERR_INVALID,
			"the server does not select runners by name, and has "
			"more than it lists at once");
	return err_set(err, ERR_NOTFOUND, "no runner '%s' at GitHub", name);
}

int
answer_jit(const struct json *j, int64_t *ret_id, char **ret_jit,
	struct err *err)
{
	const char *jit = json_str(j, "encoded_jit_config", "");

	if (sound_id(j, "runner.id", ret_id, err))
		return -1;
	if (!*jit || strspn(jit, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			"abcdefghijklmnopqrstuvwxyz0123456789+/=") !=
			strlen(jit))
		return unexpected(err, "encoded_jit_config");
	*ret_jit = xstrdup(jit);
	return 0;
}

int
answer_group(const struct json *j, const char *name, int64_t *ret_id,
	size_t *ret_rows, struct err *err)
{
	CLEANUP_JSON struct json *rows = json_get(j, "runner_groups");
	size_t i, n;

	if (!rows)
		return unexpected(err, "runner_groups");
	*ret_rows = n = json_len(rows, "");
	*ret_id = 0;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *row = json_at(rows, i);

		if (!strcmp(json_str(row, "name", ""), name))
			return sound_id(row, "id", ret_id, err);
	}
	return 0;
}

int
answer_token(const struct json *j, char **ret, int64_t *ret_expires,
	struct err *err)
{
	const char *token = json_str(j, "token", "");
	int64_t expires = clock_parse(json_str(j, "expires_at", ""));

	if (!token_sound(token))
		return unexpected(err, "token");
	if (expires <= 0)
		return unexpected(err, "expires_at");
	*ret = xstrdup(token);
	*ret_expires = expires;
	return 0;
}

int
answer_rate(const struct json *j, struct json **ret, struct err *err)
{
	static const char *const keys[] = { "limit", "remaining", "reset" };
	CLEANUP_JSON struct json *core = json_get(j, "resources.core");
	struct json *o;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (!core || json_int(core, keys[i], -1) < 0)
			return unexpected(err, "resources.core");
	o = json_object();
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		json_put_int(o, keys[i], json_int(core, keys[i], 0));
	*ret = o;
	return 0;
}

enum err_code
answer_code(int status)
{
	if (status == 401 || status == 403)
		return ERR_AUTH;
	if (status == 404)
		return ERR_NOTFOUND;
	if (status == 409)
		return ERR_EXISTS;
	if (status == 429)
		return ERR_LIMIT;
	return status >= 500 ? ERR_NET : ERR_INVALID;
}

char *
answer_message(const struct buf *body)
{
	CLEANUP_JSON struct json *j = NULL;
	struct err unused = ERR_INIT;
	const char *text = "";

	if (!json_parse(body->s, body->len, &j, &unused))
		text = json_str(j, "message", "");
	return xstrndup(*text ? text : "no reason given", MESSAGE_MAX);
}
