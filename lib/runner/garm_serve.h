/*
 * garm_serve: what instances of garm's providers ask of us over HTTP, by the
 * door of webhooks: garm's own paths, at the end of forge-webhook's URL.
 *
 *	GET  /metadata/credentials/{runner,credentials,credentials_rsaparams}
 *	GET  /metadata/system/service-name, /metadata/system/cert-bundle
 *	GET  /metadata/systemd/unit-file?runAsUser=USER
 *	POST /callbacks/status, /callbacks/system-info
 * each with or without /api/v1 before and / after, and with
 * "Authorization: Bearer TOKEN", of one instance (instance.h); without it
 * 401, before anything else is looked at.
 *
 * The first request says that the instance is up.  Credentials come into
 * being then: they are waited for, GARM_WAIT ms, then it is 503.  They are
 * not given to one that is idle or has a job, since a job may know the token.
 */
#ifndef FORGE_RUNNER_GARM_SERVE_H
#define FORGE_RUNNER_GARM_SERVE_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/net/web.h"

enum { GARM_WAIT = 20000 };

/* After web_head(): is it one of those? */
bool garm_serves(const struct web *w);
/* Answers it; as receive(). */
int garm_serve(struct web *w, struct err *log, struct err *err)
	__attribute__((warn_unused_result));

#endif
