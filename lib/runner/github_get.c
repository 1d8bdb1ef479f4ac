/* The calls by path of github.h. */
#include "lib/runner/github_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum { CURSOR_MAX = 200 };

void
github_reply_release(struct github_reply *r)
{
	json_free(r->json);
	free(r->etag);
	free(r->cursor);
	*r = GITHUB_REPLY_INIT;
}

int
github_account(const char *scope, char **ret, struct err *err)
{
	const char *name;

	if (scope_check(scope, err))
		return -1;
	name = strchr(scope, ':') + 1;
	*ret = xasprintf("%.*ss/%s", (int)(name - 1 - scope), scope, name);
	return 0;
}

/*
 * Of '<https://...?cursor=v1_123&per_page=100>; rel="next", <...>; ...' only
 * the cursor is used, never the address: it may be any host's.
 */
static char *
next_cursor(const char *link)
{
	static const char sound[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-%";
	const char *rel = link ? strstr(link, "rel=\"next\"") : NULL;
	const char *at = NULL, *p;
	size_t n;

	for (p = link; rel && (p = strstr(p, "cursor=")) && p < rel; p++)
		at = p + strlen("cursor=");
	n = at ? strspn(at, sound) : 0;
	return n && n <= CURSOR_MAX ? xstrndup(at, n) : NULL;
}

static int
call_path(struct github *gh, const char *scope, struct github_call *call,
	struct github_reply *ret, struct err *err)
{
	CLEANUP_EXTRA struct github_extra extra = GITHUB_EXTRA_INIT;
	CLEANUP_FREE char *account = NULL;
	struct json *j = NULL;

	if (scope && strcmp(scope, GITHUB_APP) != 0 &&
		github_account(scope, &account, err))
		return -1;
	if (scope && !account ? github_call_app(gh, call, &j, &extra, err) :
		github_call_for(gh, account, call, &j, &extra, err))
		return -1;
	ret->json = j;
	ret->unchanged = extra.status == 304;
	ret->etag = steal_ptr(&extra.etag);
	ret->cursor = next_cursor(extra.link);
	return 0;
}

int
github_get(struct github *gh, const char *scope, const char *path,
	const char *etag, struct github_reply *ret, struct err *err)
{
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	struct github_call call = { .method = "GET", .path = path,
		.retry = GITHUB_RETRY, .rate = RATE_READ, .etag = etag };

	if (call_path(gh, scope, &call, &r, err))
		return -1;
	if (!r.json && !r.unchanged)
		return err_set(err, ERR_INVALID,
			"the answer of GET '%s' is empty", path);
	*ret = r;
	r = GITHUB_REPLY_INIT;
	return 0;
}

int
github_post(struct github *gh, const char *scope, const char *path,
	struct github_reply *ret, struct err *err)
{
	struct github_call call = { .method = "POST", .path = path,
		.retry = GITHUB_RETRY, .rate = RATE_WRITE };

	return call_path(gh, scope, &call, ret, err);
}
