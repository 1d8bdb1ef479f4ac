/*
 * gitea: what github.h promises, at a Gitea (1.24 and later), where that is
 * another: for github*.c only.
 *
 * There is no JIT configuration: a registration token is fetched, and with it
 * the runner is registered here, by the call that act_runner makes
 * (runner.v1.RunnerService/Register, as JSON).  What comes back, the file
 * ".runner" of act_runner in base64, stands for the configuration: neither
 * our token nor the registration token enters a place.  The runner is
 * ephemeral: Gitea deletes it when its job has ended.
 *
 * Gitea deletes runners that have a job, too; so a runner is disabled first,
 * where the server can (1.26), and then looked at.
 */
#ifndef FORGE_RUNNER_GITEA_H
#define FORGE_RUNNER_GITEA_H

#include "lib/runner/github_internal.h"

int gitea_register(struct github *gh, const char *scope, const char *name,
	const struct json *labels, int64_t *ret_id, char **ret_config,
	struct err *err) __attribute__((warn_unused_result));
/* 404 is success; ERR_BUSY: it has a job. */
int gitea_remove(struct github *gh, const char *scope, int64_t id,
	struct err *err) __attribute__((warn_unused_result));
int gitea_find(struct github *gh, const char *scope, const char *name,
	struct github_runner *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
