/*
 * github_internal: what the files of the client share; for github*.c and
 * their tests only.
 *
 *	github.c		the client, and the calls by name
 *	github_call.c		one call: retries, and errors from statuses
 *	github_auth.c		whose token it carries
 *	github_answer.c		JSON of an answer to what it means
 *	github_get.c		the calls by path, conditional ones among them
 *	gitea.h			what a Gitea does otherwise
 *	rate.h			when a call may be made
 */
#ifndef FORGE_RUNNER_GITHUB_INTERNAL_H
#define FORGE_RUNNER_GITHUB_INTERNAL_H

#include "lib/net/http.h"
#include "lib/runner/github.h"
#include "lib/runner/rate.h"

#define GITHUB_ANSWER_MAX (4 * 1024 * 1024)

struct github {
	struct state *st;
	struct http *http;
	char *name; /* of the section */
	char *api; /* without a "/" at its end */
	char *app_id, *key_file; /* both, or NULL */
	char *token_file;
	int64_t configured; /* installation-id, or 0 */
	int64_t patience; /* ms to wait for our turn */
	bool background, pace;
	bool gitea;
	int cancel; /* readable: give up waiting; -1: none */
	int64_t skew; /* ms that GitHub's clock is ahead of ours */

	/* What this process has looked up so far. */
	char *owner; /* whose installation it is */
	int64_t installation; /* 0: none yet */
	char *token; /* of the installation, or of token-file */
	int64_t token_until; /* ms since 1970; 0: for ever */
};

enum github_retry {
	GITHUB_RETRY, /* repeating it does no harm */
	GITHUB_RETRY_503, /* only when GitHub says that it did nothing */
};

struct github_call {
	const char *method;
	const char *path; /* from the api base on, "/repos/..." */
	const char *base; /* instead of that; or NULL */
	const struct json *body; /* or NULL */
	enum github_retry retry;
	enum rate_kind rate;
	const char *bearer;
	const char *etag; /* If-None-Match; then 304 is success without JSON */
};

/* What comes beside the JSON; github_extra_release() it. */
struct github_extra {
	int status; /* 0: no answer came */
	char *etag, *link; /* or NULL */
};
#define GITHUB_EXTRA_INIT ((struct github_extra){ 0 })
#define CLEANUP_EXTRA __attribute__((cleanup(github_extra_release)))
void github_extra_release(struct github_extra *e);

/*
 * One call, when its turn comes, with back-off. An answer of 2xx is parsed
 * into *ret (NULL when it has no body); any other status is an error.
 * *extra is filled in both cases.
 */
int github_call(struct github *gh, const struct github_call *call,
	struct json **ret, struct github_extra *extra, struct err *err)
	__attribute__((warn_unused_result));
/* Sleep; ERR_CANCELED when gh->cancel became readable. */
int github_wait(const struct github *gh, int64_t ms, struct err *err)
	__attribute__((warn_unused_result));
/* This moment by GitHub's clock, as far as it is known. */
int64_t github_now(const struct github *gh);

/* call with the token for account, and once more when it is no longer good. */
int github_call_for(struct github *gh, const char *account,
	struct github_call *call, struct json **ret,
	struct github_extra *extra, struct err *err)
	__attribute__((warn_unused_result));
/* As the App itself; ERR_USAGE when the section has none. */
int github_call_app(struct github *gh, struct github_call *call,
	struct json **ret, struct github_extra *extra, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The token for calls that concern account ("repos/O/R", "orgs/O", NULL:
 * whichever the App has), in gh->token.
 */
int github_auth(struct github *gh, const char *account, struct err *err)
	__attribute__((warn_unused_result));
/*
 * It was refused: forget it. False when there is none to get in its place,
 * as of a token-file.
 */
bool github_auth_renew(struct github *gh);

/* Parts of answers; ERR_INVALID when they are not what they should be. */
int answer_runner(const struct json *j, struct github_runner *ret,
	struct err *err) __attribute__((warn_unused_result));
/* ERR_NOTFOUND: a list without this name. */
int answer_runner_named(const struct json *j, const char *name,
	struct github_runner *ret, struct err *err)
	__attribute__((warn_unused_result));
int answer_jit(const struct json *j, int64_t *ret_id, char **ret_jit,
	struct err *err) __attribute__((warn_unused_result));
/* *ret_id 0: not on this page; *ret_rows: how many were. */
int answer_group(const struct json *j, const char *name, int64_t *ret_id,
	size_t *ret_rows, struct err *err)
	__attribute__((warn_unused_result));
int answer_token(const struct json *j, char **ret, int64_t *ret_expires,
	struct err *err) __attribute__((warn_unused_result));
int answer_id(const struct json *j, int64_t *ret, struct err *err)
	__attribute__((warn_unused_result));
int answer_rate(const struct json *j, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* What the status of a refusal means to a caller. */
enum err_code answer_code(int status);
/* What GitHub says went wrong, at most 200 bytes; caller frees. */
char *answer_message(const struct buf *body);
/* Can s be a token: one word of printable ASCII? */
bool token_sound(const char *s);

#endif
