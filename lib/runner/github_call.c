#include "lib/runner/github_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum { NOT_MODIFIED = 304 };

static const int64_t backoff_ms[] = { 500, 1000, 2000 };

void
github_extra_release(struct github_extra *e)
{
	free(e->etag);
	free(e->link);
	*e = GITHUB_EXTRA_INIT;
}

static void
cleanup_secrets(struct argv *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		explicit_bzero(a->v[i], strlen(a->v[i]));
	argv_release(a);
}

int64_t
github_now(const struct github *gh)
{
	return clock_wall() + gh->skew;
}

/* ---- waiting ---- */

int
github_wait(const struct github *gh, int64_t ms, struct err *err)
{
	int64_t end = clock_mono() + ms;
	struct pollfd p = { .fd = gh->cancel, .events = POLLIN };
	int n;

	while ((n = clock_left(end)) > 0) {
		n = poll(&p, 1, n);
		if (n > 0)
			return err_set(err, ERR_CANCELED,
				"stopped while waiting for '%s'", gh->api);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "poll");
	}
	return 0;
}

/* A quarter more or less: many that failed at once must not come back so. */
static int64_t
with_jitter(int64_t ms)
{
	unsigned char r;

	random_bytes(&r, 1);
	return ms * 3 / 4 + ms * r / 512;
}

static int
wait_turn(struct github *gh, const struct github_call *call, int64_t patience,
	struct err *err)
{
	struct rate_ask ask = { .kind = call->rate,
		.background = gh->background, .unpaced = !gh->pace,
		.patience = patience };
	int64_t wait;

	if (rate_turn(gh->st, gh->name, &ask, &wait, err))
		return -1;
	return wait ? github_wait(gh, wait, err) : 0;
}

/* ---- one request ---- */

static void
add_headers(const struct github_call *call, struct argv *out)
{
	argv_push(out, "Accept: application/vnd.github+json");
	argv_push(out, "X-GitHub-Api-Version: 2022-11-28");
	if (call->bearer)
		argv_pushf(out, "Authorization: Bearer %s", call->bearer);
	if (call->body)
		argv_push(out, "Content-Type: application/json");
	if (call->etag)
		argv_pushf(out, "If-None-Match: %s", call->etag);
}

static int
request(struct github *gh, const struct github_call *call,
	struct http_answer *ret, struct err *err)
{
	CLEANUP_FREE char *url = xasprintf("%s%s",
		call->base ? call->base : gh->api, call->path);
	CLEANUP(cleanup_secrets) struct argv headers = ARGV_INIT;
	CLEANUP_BUF struct buf body = BUF_INIT;
	struct http_request q = { .method = call->method, .url = url,
		.headers = &headers, .max = GITHUB_ANSWER_MAX,
		.once = call->retry != GITHUB_RETRY };
	int rc;

	add_headers(call, &headers);
	if (call->body) {
		json_write(call->body, &body);
		q.body = &body;
	}
	rc = github_ready(gh, err) ? -1 : http_call(gh->http, &q, ret, err);
	if (!rc && ret->date)
		gh->skew = ret->date * 1000 - clock_wall();
	return rc;
}

/* ---- what the answer means ---- */

/* GitHub says 403 for both of "not allowed" and "not now". */
static bool
is_limit(const struct http_answer *a, const char *message)
{
	return a->status == 429 || (a->status == 403 &&
		(a->retry_after > 0 || a->remaining == 0 ||
			strcasestr(message, "rate limit")));
}

/* Its reset is by GitHub's clock. */
static int
tell_rate(struct github *gh, const struct http_answer *a, bool limited,
	const char *message, int64_t *ret_until, struct err *err)
{
	struct rate_answer r = { .refused = limited, .why = message,
		.retry_after = a->retry_after,
		.registration = a->resource &&
			!strcmp(a->resource, "actions_runner_registration"),
		.budget = { a->limit, a->remaining, a->reset < 0 ? -1 :
			a->reset * 1000 - gh->skew } };

	return rate_heard(gh->st, gh->name, &r, ret_until, err);
}

static int
refused_limit(const struct github *gh, int64_t until, const char *message,
	struct err *err)
{
	char text[32];

	return err_set(err, ERR_LIMIT,
		"github '%s' takes no more calls until %s: %s", gh->name,
		clock_format(until, text, sizeof(text)), message);
}

static int
refused(struct github *gh, const struct github_call *call, int status,
	const char *message, struct err *err)
{
	/* It has a job: of DELETE's refusals the one that passes. */
	bool busy = status == 422 && !strcmp(call->method, "DELETE");

	return err_set(err, busy ? ERR_BUSY : answer_code(status),
		"%s '%s%s' failed: %d: %s", call->method, gh->api, call->path,
		status, message);
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

/* rc: of request(). */
static bool
again(const struct github_call *call, int rc, const struct http_answer *a,
	const struct err *err)
{
	if (rc)
		return err->code == ERR_NET &&
			(call->retry == GITHUB_RETRY || !a->sent);
	return call->retry == GITHUB_RETRY ? a->status >= 500 :
		a->status == 503;
}

/* ---- the call ---- */

/*
 * Until an answer came that counts.  *ret_limited: it is a refusal for a
 * limit that lasts longer than we wait; those before it were waited for.
 */
static int
ask(struct github *gh, const struct github_call *call, struct http_answer *a,
	bool *ret_limited, int64_t *ret_until, struct err *err)
{
	int64_t end = clock_mono() + gh->patience;
	size_t tries = 0;

	for (;;) {
		CLEANUP_FREE char *message = NULL;
		bool limited;
		int rc;

		if (wait_turn(gh, call, clock_left(end), err))
			return -1;
		rc = request(gh, call, a, err);
		message = rc ? NULL : answer_message(&a->body);
		limited = !rc && is_limit(a, message);
		if (!rc && tell_rate(gh, a, limited, message, ret_until, err))
			return -1;
		*ret_limited = limited;
		if (limited && *ret_until - clock_wall() <= clock_left(end))
			continue;
		if (limited || !again(call, rc, a, err) ||
			tries == ARRAY_SIZE(backoff_ms))
			return rc;
		if (rc)
			*err = ERR_INIT;
		if (github_wait(gh, with_jitter(backoff_ms[tries++]), err))
			return -1;
	}
}

int
github_call(struct github *gh, const struct github_call *call,
	struct json **ret, struct github_extra *extra, struct err *err)
{
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP_FREE char *message = NULL;
	int64_t until = 0;
	bool limited = false;

	github_extra_release(extra);
	if (ask(gh, call, &a, &limited, &until, err))
		return -1;
	extra->status = a.status;
	extra->etag = steal_ptr(&a.etag);
	extra->link = steal_ptr(&a.link);
	if (call->etag && a.status == NOT_MODIFIED) {
		*ret = NULL;
		return 0;
	}
	if (a.status >= 200 && a.status <= 299)
		return accepted(call, &a, ret, err);
	message = answer_message(&a.body);
	return limited ? refused_limit(gh, until, message, err) :
		refused(gh, call, a.status, message, err);
}
