#include "lib/session/pull_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/session/sshkey.h"
#include "lib/base/banned.h"

enum { ANSWER_MAX = 4 << 20 };

/* How the three differ. */
static const struct {
	const char *auth; /* header */
	const char *path; /* of all requests, below the project */
	const char *head, *base, *body; /* keys */
	const char *url; /* key of the page for people */
	int exists; /* status: one is open already */
} forms[] = {
	[PULL_GITHUB] = { "Authorization: Bearer ", "pulls", "head", "base",
		"body", "html_url", 422 },
	[PULL_GITEA] = { "Authorization: token ", "pulls", "head", "base",
		"body", "html_url", 409 },
	[PULL_GITLAB] = { "PRIVATE-TOKEN: ", "merge_requests",
		"source_branch", "target_branch", "description", "web_url",
		409 },
};
_Static_assert(ARRAY_SIZE(forms) == PULL_KIND__MAX, "a kind without form");

static char *
collection(const struct pull_host *h)
{
	return xasprintf("%s/%s/%s", h->api, h->project, forms[h->kind].path);
}

struct json *
pull_json(const struct pull_host *h, const struct pull_request *r)
{
	CLEANUP_FREE char *url = collection(h);
	struct json *o = json_object(), *body = json_object();

	json_put_str(body, "title", r->title);
	json_put_str(body, forms[h->kind].head, r->head);
	json_put_str(body, forms[h->kind].base, r->base);
	json_put_str(body, forms[h->kind].body, r->body);
	json_put_str(o, "method", "POST");
	json_put_str(o, "url", url);
	json_put(o, "body", body);
	return o;
}

static int
call(const struct pull_host *h, const char *method, const char *url,
	const struct buf *body, struct http_answer *a, struct err *err)
{
	CLEANUP_ARGV struct argv headers = ARGV_INIT;
	struct http_request q = { .method = method, .url = url,
		.headers = &headers, .body = body, .max = ANSWER_MAX,
		.once = true };
	struct http *http = NULL;
	int rc;

	argv_pushf(&headers, "%s%s", forms[h->kind].auth, h->token.s);
	if (h->kind == PULL_GITHUB) {
		argv_push(&headers, "Accept: application/vnd.github+json");
		argv_push(&headers, "X-GitHub-Api-Version: 2022-11-28");
	} else {
		argv_push(&headers, "Accept: application/json");
	}
	if (body)
		argv_push(&headers, "Content-Type: application/json");
	argv_push(&headers, "User-Agent: forge");
	if (http_open(h->ca_file, &http, err))
		return -1;
	rc = http_call(http, &q, a, err);
	http_close(http);
	return rc;
}

/* Why, in the host's words: GitHub says more in errors[0], GitLab in a list. */
static int
refused(const struct pull_host *h, const struct http_answer *a,
	struct err *err)
{
	CLEANUP_JSON struct json *j = NULL, *list = NULL, *first = NULL;
	struct err unused = ERR_INIT;
	const char *said = "", *more = NULL;
	enum err_code code = ERR_INVALID;

	if (!json_parse(a->body.s, a->body.len, &j, &unused)) {
		said = json_str(j, "message", "");
		list = json_get(j, "errors");
		if (!list)
			list = json_get(j, "message");
		first = list ? json_at(list, 0) : NULL;
		if (first)
			more = json_str(first, "message",
				json_str(first, "", NULL));
	}
	if (a->status == 401 || a->status == 403)
		code = ERR_AUTH;
	else if (a->status == 404)
		code = ERR_NOTFOUND;
	else if (a->status == 429)
		code = ERR_LIMIT;
	else if (a->status >= 500)
		code = ERR_NET;
	return err_set(err, code, "'%s' answers %d: %.200s%s%.150s", h->name,
		a->status, said, more && *said ? ": " : "", more ? more : "");
}

/* The address of one that is open already. */
static int
find(const struct pull_host *h, const struct pull_request *r, char **ret,
	struct err *err)
{
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP_JSON struct json *j = NULL, *one = NULL;
	CLEANUP_FREE char *all = collection(h);
	CLEANUP_BUF struct buf url = BUF_INIT;
	const char *found;

	buf_adds(&url, all);
	if (h->kind == PULL_GITEA) {
		buf_addc(&url, '/');
		http_escape(&url, r->base);
		buf_addc(&url, '/');
		http_escape(&url, r->head);
	} else if (h->kind == PULL_GITLAB) {
		buf_adds(&url, "?state=opened&source_branch=");
		http_escape(&url, r->head);
	} else {
		buf_adds(&url, "?state=open&head=");
		http_escape(&url, h->owner);
		buf_adds(&url, "%3A");
		http_escape(&url, r->head);
	}
	if (call(h, "GET", url.s, NULL, &a, err))
		return -1;
	if (a.status != 200)
		return refused(h, &a, err);
	if (json_parse(a.body.s, a.body.len, &j, err))
		return err_wrap(err, "'%s'", h->name);
	one = h->kind == PULL_GITEA ? NULL : json_at(j, 0);
	found = h->kind == PULL_GITEA || one ?
		json_str(one ? one : j, forms[h->kind].url, NULL) : NULL;
	if (!found)
		return err_set(err, ERR_NOTFOUND,
			"'%s' has no open request of branch '%s'", h->name,
			r->head);
	*ret = xstrdup(found);
	return 0;
}

int
pull_send(const struct pull_host *h, const struct pull_request *r,
	char **ret_url, bool *ret_new, struct err *err)
{
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP_JSON struct json *request = pull_json(h, r);
	CLEANUP_JSON struct json *body = json_get(request, "body");
	CLEANUP_JSON struct json *j = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct err unused = ERR_INIT;
	const char *url;

	json_write(body, &text);
	if (call(h, "POST", json_str(request, "url", ""), &text, &a, err))
		return -1;
	/* GitHub has one status for all that it does not like. */
	if (a.status == forms[h->kind].exists &&
		!find(h, r, ret_url, &unused)) {
		*ret_new = false;
		return 0;
	}
	if (a.status != 201)
		return refused(h, &a, err);
	if (json_parse(a.body.s, a.body.len, &j, err))
		return err_wrap(err, "'%s'", h->name);
	url = json_str(j, forms[h->kind].url, NULL);
	if (!url)
		return err_set(err, ERR_INVALID,
			"'%s' gives no address of the request", h->name);
	*ret_url = xstrdup(url);
	*ret_new = true;
	return 0;
}
