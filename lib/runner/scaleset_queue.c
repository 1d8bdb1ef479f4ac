#include "lib/runner/scaleset_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/runner/github_internal.h"
#include "lib/state/secret.h"
#include "lib/base/banned.h"

enum { POLL_MS = 70000 }; /* GitHub answers after 50 s at the latest */

/*
 * GitHub lets a set have one session, and ends that of a process that was
 * killed only after a while: so its id is kept, and ours is the one that we
 * may end.
 */
static char *
kept_name(const struct scaleset *s)
{
	return xasprintf("scaleset/%s/session", s->pool->name);
}

static int
keep(struct scaleset *s, struct err *err)
{
	CLEANUP_FREE char *name = kept_name(s);

	return secret_put(s->st, name, s->session, strlen(s->session), 0, err);
}

static void
end(struct scaleset *s, const char *session)
{
	CLEANUP_FREE char *rest = xasprintf("sessions/%s", session);
	CLEANUP_FREE char *name = kept_name(s);
	struct err why = ERR_INIT;
	int status;

	if (scaleset_api(s, "DELETE", rest, NULL, false, NULL, &status,
		    &why) && status != 404) {
		log_warning("scaleset.session", "pool", s->pool->name,
			"error", why.msg, NULL);
		return;
	}
	(void)!secret_remove(s->st, name, &why); /* no harm in it */
}

static void
end_kept(struct scaleset *s)
{
	CLEANUP_FREE char *name = kept_name(s);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err unused = ERR_INIT;

	if (!secret_get(s->st, name, &b, NULL, &unused) &&
		strlen(b.s) == b.len && token_sound(b.s) && !strchr(b.s, '/'))
		end(s, b.s);
}

static void
forget(struct scaleset *s)
{
	free(s->session);
	free(s->queue);
	if (s->queue_token)
		explicit_bzero(s->queue_token, strlen(s->queue_token));
	free(s->queue_token);
	s->session = s->queue = s->queue_token = NULL;
}

static int
take_session(struct scaleset *s, const struct json *j, struct err *err)
{
	const char *id = j ? json_str(j, "sessionId", "") : "";
	const char *queue = j ? json_str(j, "messageQueueUrl", "") : "";
	const char *token = j ? json_str(j, "messageQueueAccessToken", "") :
		"";

	if (!token_sound(id) || strpbrk(id, "/?#%") || !token_sound(token) ||
		http_check_url(queue, err))
		return err_set(err, ERR_INVALID,
			"GitHub's answer has no sound session");
	forget(s);
	s->session = xstrdup(id);
	s->queue = xstrdup(queue);
	s->queue_token = xstrdup(token);
	return 0;
}

int
scaleset_open_session(struct scaleset *s, struct json **ret_statistics,
	struct err *err)
{
	CLEANUP_JSON struct json *body = json_object(), *j = NULL;
	char host[256] = "";
	int status;

	(void)gethostname(host, sizeof(host) - 1);
	json_put_str(body, "ownerName", host);
	end_kept(s);
	if (scaleset_api(s, "POST", "sessions", body, true, &j, &status, err))
		return -1;
	if (take_session(s, j, err) || keep(s, err))
		return -1;
	s->last = 0;
	*ret_statistics = json_get(j, "statistics");
	return 0;
}

void
scaleset_close_session(struct scaleset *s)
{
	int cancel = s->cancel;

	if (!s->session)
		return;
	s->cancel = -1; /* it is what ends us */
	end(s, s->session);
	s->cancel = cancel;
	forget(s);
}

static int
refresh(struct scaleset *s, struct err *err)
{
	CLEANUP_FREE char *rest = xasprintf("sessions/%s", s->session);
	CLEANUP_JSON struct json *j = NULL;
	int status;

	if (scaleset_api(s, "PATCH", rest, NULL, false, &j, &status, err))
		return -1;
	return take_session(s, j, err);
}

/* At the queue; with a new token when the old one has expired. */
static int
at_queue(struct scaleset *s, struct scaleset_call *call, const char *path,
	const char *query, struct json **ret, int *ret_status,
	struct err *err)
{
	int tries;

	for (tries = 0;; tries++) {
		/* The address may have a query of its own. */
		int n = (int)strcspn(s->queue, "?");
		CLEANUP_FREE char *url = xasprintf("%.*s%s%s%s%s", n, s->queue,
			path, s->queue + n, !*query ? "" : s->queue[n] ?
			"&" : "?", query);

		call->url = url;
		call->token = s->queue_token;
		if (!scaleset_call(s, call, ret, ret_status, err))
			return 0;
		if (*ret_status != 401 || tries)
			return -1;
		*err = ERR_INIT;
		if (refresh(s, err))
			return -1;
	}
}

int
scaleset_next(struct scaleset *s, struct json **ret, struct err *err)
{
	struct scaleset_call call = { .method = "GET",
		.capacity = s->pool->max, .timeout_ms = POLL_MS };
	CLEANUP_FREE char *query = s->last ? xasprintf("lastMessageId=%" PRId64,
		s->last) : xstrdup("");
	int status;

	*ret = NULL;
	return at_queue(s, &call, "", query, ret, &status, err);
}

int
scaleset_delete(struct scaleset *s, int64_t message, struct err *err)
{
	struct scaleset_call call = { .method = "DELETE", .capacity = -1 };
	CLEANUP_FREE char *path = xasprintf("/%" PRId64, message);
	int status;

	if (at_queue(s, &call, path, "", NULL, &status, err) && status != 404)
		return -1;
	s->last = message;
	return 0;
}
