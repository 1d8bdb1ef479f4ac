/*
 * pull: pull requests (merge requests) for what a session has pushed, at
 * GitHub and GitHub Enterprise Server, Gitea and Forgejo, and GitLab.
 *
 * Which of them a host is, is known of the public ones; [git "HOST"] of the
 * configuration says it of others (kind, api).  The token is the identity's,
 * else that of token-file there.
 */
#ifndef FORGE_SESSION_PULL_H
#define FORGE_SESSION_PULL_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/session/session.h"

struct state;

struct pull_options {
	const char *title; /* NULL: the only commit's, or what was asked for */
	const char *body; /* NULL: the list of its commits */
	const char *base; /* NULL: the branch it began from */
	bool dry_run; /* only say what would be sent */
};

/*
 * One for each repository of the session where commits were pushed; emit
 * gets {"repo", "url", "new": false when it was open already}, or of a dry
 * run {"method", "url", "body"}.  ERR_BUSY: nothing was pushed yet.
 * ERR_AUTH: no token, or one that the host refuses.
 */
int pull_open(struct state *st, const struct session *s,
	const struct pull_options *o,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
