/* Between the files of pull. */
#ifndef FORGE_SESSION_PULL_INTERNAL_H
#define FORGE_SESSION_PULL_INTERNAL_H

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/session/pull.h"
#include "lib/session/worktree_internal.h"

enum pull_kind { PULL_GITHUB, PULL_GITEA, PULL_GITLAB, PULL_KIND__MAX };

/* One repository at one host, and how its API is called. */
struct pull_host {
	enum pull_kind kind;
	char *name; /* of the host */
	char *api; /* no slash at its end */
	char *project; /* "repos/acme/app", "projects/acme%2Fapp" */
	char *owner;
	const char *ca_file; /* or NULL */
	struct buf token;
};

void pull_host_release(struct pull_host *h);

/* Host and project of the repository url; ERR_USAGE: no host we know. */
int pull_host_of(struct state *st, const char *url, struct pull_host *ret,
	struct err *err) __attribute__((warn_unused_result));
/* Its token, of the identity or the configuration. */
int pull_host_token(struct state *st, const struct session *s,
	struct pull_host *h, struct err *err)
	__attribute__((warn_unused_result));

struct pull_request {
	const char *title, *body, *head, *base;
};

/* {"method", "url", "body"} */
struct json *pull_json(const struct pull_host *h,
	const struct pull_request *r);
/* Send it; *ret_url is the caller's.  One that is open already is found. */
int pull_send(const struct pull_host *h, const struct pull_request *r,
	char **ret_url, bool *ret_new, struct err *err)
	__attribute__((warn_unused_result));

#endif
