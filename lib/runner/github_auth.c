#include "lib/runner/github_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/state/secret.h"
#include "lib/trust/jwt.h"
#include "lib/base/banned.h"

#define MARGIN (5 * 60 * 1000) /* a token must not expire on its way */

static void
cleanup_secret(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
}
#define CLEANUP_SECRET CLEANUP(cleanup_secret)

static void
forget_token(struct github *gh)
{
	cleanup_secret(&gh->token);
	gh->token = NULL;
}

static void
keep_token(struct github *gh, char *token, int64_t until)
{
	forget_token(gh);
	gh->token = token;
	gh->token_until = until;
}

static int
read_token_file(struct github *gh, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (gh->token)
		return 0;
	if (fs_read(AT_FDCWD, gh->token_file, 4096, &b, err))
		return err_wrap(err, "token-file of github '%s'", gh->name);
	buf_rtrim(&b);
	if (strlen(b.s) != b.len || !token_sound(b.s))
		return err_set(err, ERR_INVALID,
			"token-file '%s' of github '%s' must hold one token "
			"and nothing else", gh->token_file, gh->name);
	keep_token(gh, buf_detach(&b), 0);
	return 0;
}

#define SKEW_MIN (30 * 1000) /* less is no reason to be refused */

static int
call_jwt(struct github *gh, struct github_call *call, struct json **ret,
	struct github_extra *extra, struct err *err)
{
	CLEANUP_SECRET char *jwt = NULL;

	if (jwt_app(gh->key_file, gh->app_id, github_now(gh), &jwt, err))
		return err_wrap(err, "key-file of github '%s'", gh->name);
	call->bearer = jwt;
	return github_call(gh, call, ret, extra, err);
}

static int
not_the_app(const struct github *gh, struct err *err)
{
	if (llabs(gh->skew) < SKEW_MIN)
		return err_wrap(err, "app-id and key-file of github '%s' do "
			"not fit", gh->name);
	return err_wrap(err, "app-id and key-file of github '%s' do not fit "
		"(this host's clock is %lld s %s GitHub's)", gh->name,
		llabs(gh->skew) / 1000, gh->skew > 0 ? "behind" : "ahead of");
}

/* A JWT is refused when our clock is wrong: the answer has the right time. */
int
github_call_app(struct github *gh, struct github_call *call,
	struct json **ret, struct github_extra *extra, struct err *err)
{
	int64_t skew = gh->skew;
	int rc;

	extra->status = 0;
	if (!gh->app_id)
		return err_set(err, ERR_USAGE,
			"github '%s' has no app-id and key-file", gh->name);
	rc = call_jwt(gh, call, ret, extra, err);
	if (rc && extra->status == 401 && llabs(gh->skew - skew) >= SKEW_MIN) {
		*err = ERR_INIT;
		rc = call_jwt(gh, call, ret, extra, err);
	}
	return rc && extra->status == 401 ? not_the_app(gh, err) : rc;
}

static int
call_app(struct github *gh, const char *method, const char *path,
	struct json **ret, int *ret_status, struct err *err)
{
	CLEANUP_EXTRA struct github_extra extra = GITHUB_EXTRA_INIT;
	CLEANUP_JSON struct json *body = NULL;
	struct github_call call = { .method = method, .path = path,
		.rate = RATE_READ };
	int rc;

	/* A token too many does no harm, and minting one is no write that
	 * must be paced. */
	if (!strcmp(method, "POST"))
		body = json_object();
	call.body = body;
	rc = github_call_app(gh, &call, ret, &extra, err);
	*ret_status = extra.status;
	if (!rc && !*ret)
		return err_set(err, ERR_INVALID, "the answer of %s '%s' "
			"is empty", method, path);
	return rc;
}

/* The App is there but not at this account: no reason to say "gone". */
static int
not_installed(struct github *gh, const char *what, struct err *err)
{
	return err_set(err, ERR_AUTH,
		"the App of github '%s' has no installation at '%s': install "
		"it there", gh->name, what);
}

static int
find_installation(struct github *gh, const char *account, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("/%s/installation", account);
	CLEANUP_JSON struct json *j = NULL;
	int status;

	if (call_app(gh, "GET", path, &j, &status, err))
		return status == 404 ? not_installed(gh, account, err) : -1;
	return answer_id(j, &gh->installation, err);
}

/* For calls of no account: unambiguous where the App has only one. */
static int
only_installation(struct github *gh, struct err *err)
{
	CLEANUP_JSON struct json *list = NULL, *row = NULL;
	int status;

	if (call_app(gh, "GET", "/app/installations?per_page=2", &list,
		&status, err))
		return -1;
	row = json_at(list, 0);
	if (!row || json_len(list, "") != 1)
		return err_set(err, ERR_USAGE,
			"the App of github '%s' has %s: set installation-id",
			gh->name, json_len(list, "") ?
			"several installations" : "no installation");
	return answer_id(row, &gh->installation, err);
}

/* Of "repos/OWNER/NAME" and "orgs/OWNER": one installation serves both. */
static char *
owner_of(const char *account)
{
	const char *owner = strchr(account, '/') + 1;

	return xstrndup(owner, strcspn(owner, "/"));
}

static bool
is_known(const struct github *gh, const char *owner)
{
	return gh->installation && (!owner ||
		(gh->owner && !strcasecmp(gh->owner, owner)));
}

static int
need_installation(struct github *gh, const char *account, struct err *err)
{
	CLEANUP_FREE char *owner = NULL;

	if (gh->configured) {
		gh->installation = gh->configured;
		return 0;
	}
	if (account && !strncmp(account, "enterprises/", 12))
		return err_set(err, ERR_USAGE,
			"github '%s' needs installation-id, or token-file "
			"instead of an App, for an enterprise", gh->name);
	owner = account ? owner_of(account) : NULL;
	if (is_known(gh, owner))
		return 0;
	forget_token(gh);
	gh->installation = 0;
	free(gh->owner);
	gh->owner = steal_ptr(&owner);
	return account ? find_installation(gh, account, err) :
		only_installation(gh, err);
}

static char *
secret_name(const struct github *gh)
{
	return xasprintf("github/%s/installation/%lld", gh->name,
		(long long)gh->installation);
}

/* 1: the state had one. A key that is lost is no reason to stop here. */
static int
load_token(struct github *gh, struct err *err)
{
	CLEANUP_FREE char *name = secret_name(gh);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err why = ERR_INIT;
	int64_t until = 0;

	if (secret_get(gh->st, name, &b, &until, &why)) {
		if (why.code == ERR_NOTFOUND || why.code == ERR_SCHEMA)
			return 0;
		*err = why;
		return -1;
	}
	if (!token_sound(b.s) || strlen(b.s) != b.len)
		return 0;
	keep_token(gh, buf_detach(&b), until);
	return 1;
}

static int
mint_token(struct github *gh, struct err *err)
{
	CLEANUP_FREE char *name = secret_name(gh);
	CLEANUP_FREE char *path = xasprintf(
		"/app/installations/%lld/access_tokens",
		(long long)gh->installation);
	CLEANUP_FREE char *id = xasprintf("%lld", (long long)gh->installation);
	CLEANUP_JSON struct json *j = NULL;
	int64_t expires;
	char *token;
	int status;

	if (call_app(gh, "POST", path, &j, &status, err))
		return status == 404 ? not_installed(gh, id, err) : -1;
	if (answer_token(j, &token, &expires, err))
		return -1;
	/* By GitHub's clock; what is kept is by ours. */
	keep_token(gh, token, expires - MARGIN - gh->skew);
	if (gh->token_until <= clock_wall())
		return 0; /* good for this call, and then no more */
	return secret_put(gh->st, name, token, strlen(token),
		gh->token_until, err);
}

int
github_auth(struct github *gh, const char *account, struct err *err)
{
	int rc;

	if (gh->token_file)
		return read_token_file(gh, err);
	if (need_installation(gh, account, err))
		return -1;
	if (gh->token && gh->token_until > clock_wall())
		return 0;
	forget_token(gh);
	rc = load_token(gh, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	return mint_token(gh, err);
}

bool
github_auth_renew(struct github *gh)
{
	CLEANUP_FREE char *name = secret_name(gh);
	struct err unused = ERR_INIT;

	if (gh->token_file)
		return false;
	forget_token(gh);
	/* One that stays is refused once more, and is an error then. */
	(void)!secret_remove(gh->st, name, &unused);
	return true;
}

int
github_call_for(struct github *gh, const char *account,
	struct github_call *call, struct json **ret,
	struct github_extra *extra, struct err *err)
{
	int rc;

	if (github_auth(gh, account, err))
		return -1;
	call->bearer = gh->token;
	rc = github_call(gh, call, ret, extra, err);
	if (rc && extra->status == 401 && github_auth_renew(gh)) {
		*err = ERR_INIT;
		if (github_auth(gh, account, err))
			return -1;
		call->bearer = gh->token;
		rc = github_call(gh, call, ret, extra, err);
	}
	if (rc && extra->status == 401)
		return err_wrap(err, "%s of github '%s' is not accepted",
			gh->token_file ? "token-file" : "the App's token",
			gh->name);
	return rc;
}

bool
github_is_app(const struct github *gh)
{
	return gh->app_id != NULL;
}
