/*
 * github: the REST calls that runners need, at github.com, GHES or Gitea.
 *
 * A client belongs to one [github "NAME"] section: its api base, and either
 * an App (app-id, key-file: a JWT is exchanged for an installation token,
 * which is kept sealed in the state until five minutes before it expires) or
 * a token (token-file).
 *
 * Every call can fail with ERR_NET (unreachable, 5xx after the retries),
 * ERR_AUTH (401, 403 that is no rate limit), ERR_LIMIT (rate limited: the
 * message says until when), ERR_NOTFOUND (404), ERR_EXISTS (409), ERR_BUSY
 * (422 of a DELETE: the runner runs a job), ERR_INVALID (any other refusal,
 * or an answer that is not what it should be), ERR_CANCELED.
 *
 * All processes of a state share what is known of the limits; see rate.h. A
 * call waits for its turn, and after a refusal for the end of that, for
 * GITHUB_PATIENCE ms at most.  Repeated, with growing pauses, is only what
 * cannot have been carried out or does no harm a second time.
 *
 * A scope is "repo:OWNER/NAME", "org:NAME" or "enterprise:NAME".
 *
 * Source: docs.github.com/rest, API version 2022-11-28.
 */
#ifndef FORGE_RUNNER_GITHUB_H
#define FORGE_RUNNER_GITHUB_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct github;

/*
 * The client for the section NAME; NULL: the only section there is (an
 * error that lists them when there are several).
 */
int github_open(struct state *st, const char *name, struct github **ret,
	struct err *err) __attribute__((warn_unused_result));
/*
 * The same without what takes milliseconds, the library that makes calls,
 * for who has something to start first; then github_ready(), at the latest
 * by the first call.
 */
int github_open_later(struct state *st, const char *name,
	struct github **ret, struct err *err)
	__attribute__((warn_unused_result));
int github_ready(struct github *gh, struct err *err)
	__attribute__((warn_unused_result));
void github_close(struct github *gh);
void cleanup_github(struct github **gh);
#define CLEANUP_GITHUB __attribute__((cleanup(cleanup_github)))

enum { GITHUB_PATIENCE = 90000 };
/* How long calls wait for their turn, ms; 0: not at all. */
void github_set_patience(struct github *gh, int64_t ms);
/* Leave a part of the budget to others: for sweeps. */
void github_set_background(struct github *gh);
/* Waiting ends with ERR_CANCELED when fd, which is borrowed, becomes
 * readable: a signalfd. */
void github_set_cancel(struct github *gh, int fd);
const char *github_name(const struct github *gh); /* of the section */
const char *github_api(const struct github *gh);

/* ERR_USAGE unless s is one of the three forms with sound names. */
int scope_check(const char *s, struct err *err)
	__attribute__((warn_unused_result));

bool github_is_app(const struct github *gh); /* not a token */
/* Runners are act_runner, and github_jit() makes what that takes: gitea.h. */
bool github_is_gitea(const struct github *gh);

struct github_runner {
	int64_t id;
	char name[128];
	bool online;
	bool busy;
};

/*
 * Mint a just-in-time configuration: the runner exists at GitHub, offline,
 * from then on.  labels: a JSON array of strings.  group 0: the default.
 * *ret_jit is a secret; caller frees.
 */
int github_jit(struct github *gh, const char *scope, const char *name,
	int64_t group, const struct json *labels, int64_t *ret_id,
	char **ret_jit, struct err *err) __attribute__((warn_unused_result));
/* By exact name; ERR_NOTFOUND. */
int github_runner_find(struct github *gh, const char *scope, const char *name,
	struct github_runner *ret, struct err *err)
	__attribute__((warn_unused_result));
int github_runner_get(struct github *gh, const char *scope, int64_t id,
	struct github_runner *ret, struct err *err)
	__attribute__((warn_unused_result));
/* 404 is success: it is gone.  ERR_BUSY: it runs a job. */
int github_runner_remove(struct github *gh, const char *scope, int64_t id,
	struct err *err) __attribute__((warn_unused_result));
/* The id of a runner group by name (org and enterprise). */
int github_group(struct github *gh, const char *scope, const char *name,
	int64_t *ret_id, struct err *err) __attribute__((warn_unused_result));
/* The job as GitHub has it; repo is "owner/name". */
int github_job(struct github *gh, const char *repo, int64_t id,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/* ---- any other call ---- */

struct github_reply {
	struct json *json; /* NULL: no body, or not changed */
	bool unchanged; /* since etag */
	char *etag; /* or NULL */
	char *cursor; /* of the next page, where pages are told so; or NULL */
};
#define GITHUB_REPLY_INIT ((struct github_reply){ 0 })
#define CLEANUP_REPLY __attribute__((cleanup(github_reply_release)))
void github_reply_release(struct github_reply *r);

#define GITHUB_APP "app" /* as a scope: the App itself, by its JWT */

/*
 * GET path, from the api base on ("/orgs/acme/repos"), as who may see scope
 * (NULL: the only installation).  etag (may be NULL): of what the caller has.
 */
int github_get(struct github *gh, const char *scope, const char *path,
	const char *etag, struct github_reply *ret, struct err *err)
	__attribute__((warn_unused_result));
/* POST without a body; it must do no harm twice. */
int github_post(struct github *gh, const char *scope, const char *path,
	struct github_reply *ret, struct err *err)
	__attribute__((warn_unused_result));
/* "orgs/acme", "repos/acme/app", "enterprises/x"; caller frees. */
int github_account(const char *scope, char **ret, struct err *err)
	__attribute__((warn_unused_result));

/* {"limit","remaining","reset"} of the core resource; costs nothing. */
int github_rate(struct github *gh, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
