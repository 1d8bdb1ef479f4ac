#include "lib/runner/github_internal.h"

#include <strings.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define LIMIT_SECONDS 60 /* when GitHub does not say how long */
#define LIMIT_MAX (24 * 3600)

static const int64_t backoff_ms[] = { 500, 1000, 2000 };

static void
cleanup_secrets(struct argv *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		explicit_bzero(a->v[i], strlen(a->v[i]));
	argv_release(a);
}

static void
wait_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t))
		;
}

static void
add_headers(const struct github_call *call, struct argv *out)
{
	argv_push(out, "Accept: application/vnd.github+json");
	argv_push(out, "X-GitHub-Api-Version: 2022-11-28");
	argv_pushf(out, "Authorization: Bearer %s", call->bearer);
	if (call->body)
		argv_push(out, "Content-Type: application/json");
}

/* Until when, in ms since 1970. */
static int64_t
limited_until(const struct http_answer *a)
{
	int64_t now = clock_wall() / 1000, wait = LIMIT_SECONDS;

	if (a->retry_after > 0)
		wait = a->retry_after;
	else if (a->remaining <= 0 && a->reset > now)
		wait = a->reset - now;
	return (now + (wait < LIMIT_MAX ? wait : LIMIT_MAX)) * 1000;
}

/* GitHub says 403 for both of "not allowed" and "not now". */
static bool
is_limit(const struct http_answer *a, const char *message)
{
	return a->status == 429 || (a->status == 403 &&
		(a->retry_after > 0 || a->remaining == 0 ||
			strcasestr(message, "rate limit")));
}

static int
refused_limit(struct github *gh, const struct http_answer *a,
	const char *message, struct err *err)
{
	char until[32];

	return err_set(err, ERR_LIMIT, "'%s' takes no more calls until %s: %s",
		gh->api, clock_format(limited_until(a), until, sizeof(until)),
		message);
}

static enum err_code
code_of(const struct github_call *call, int status)
{
	if (status == 401 || status == 403)
		return ERR_AUTH;
	if (status == 404)
		return ERR_NOTFOUND;
	if (status == 409)
		return ERR_EXISTS;
	if (status == 422 && !strcmp(call->method, "DELETE"))
		return ERR_BUSY;
	return status >= 500 ? ERR_NET : ERR_INVALID;
}

static int
refused(struct github *gh, const struct github_call *call,
	const struct http_answer *a, struct err *err)
{
	CLEANUP_FREE char *message = answer_message(&a->body);

	if (is_limit(a, message))
		return refused_limit(gh, a, message, err);
	return err_set(err, code_of(call, a->status),
		"%s '%s%s' failed: %d: %s", call->method, gh->api, call->path,
		a->status, message);
}

/* Without the parser's words: they quote the answer, maybe with a secret. */
static int
accepted(const struct github_call *call, const struct http_answer *a,
	struct json **ret, struct err *err)
{
	struct err unused = ERR_INIT;
	struct json *j = NULL;

	if (a->body.len && json_parse(a->body.s, a->body.len, &j, &unused))
		return err_set(err, ERR_INVALID,
			"the answer of %s '%s' is not JSON", call->method,
			call->path);
	*ret = j;
	return 0;
}

/* rc: of http_call() */
static bool
again(const struct github_call *call, int rc, int status,
	const struct err *err)
{
	if (rc)
		return call->retry == GITHUB_RETRY && err->code == ERR_NET;
	return call->retry == GITHUB_RETRY ? status >= 500 : status == 503;
}

int
github_call(struct github *gh, const struct github_call *call,
	struct json **ret, int *ret_status, struct err *err)
{
	CLEANUP_FREE char *url = xasprintf("%s%s", gh->api, call->path);
	CLEANUP(cleanup_secrets) struct argv headers = ARGV_INIT;
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP_BUF struct buf body = BUF_INIT;
	struct http_request q = { .method = call->method, .url = url,
		.headers = &headers, .max = GITHUB_ANSWER_MAX };
	size_t tries;
	int rc;

	add_headers(call, &headers);
	if (call->body) {
		json_write(call->body, &body);
		q.body = &body;
	}
	for (tries = 0;; tries++) {
		rc = http_call(gh->http, &q, &a, err);
		if (!again(call, rc, a.status, err) ||
			tries == ARRAY_SIZE(backoff_ms))
			break;
		wait_ms(backoff_ms[tries]);
	}
	if (ret_status)
		*ret_status = rc ? 0 : a.status;
	if (rc)
		return -1;
	if (a.status < 200 || a.status > 299)
		return refused(gh, call, &a, err);
	return accepted(call, &a, ret, err);
}
