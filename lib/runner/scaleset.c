#include "lib/runner/scaleset_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/runner/github.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { PAUSE_MIN = 1000, PAUSE_MAX = 60000 };

/* True when it is time to stop. */
static bool
pause_ms(const struct scaleset *s, int64_t ms)
{
	int64_t end = clock_mono() + ms;
	struct pollfd p = { .fd = s->cancel, .events = POLLIN };
	int n, left;

	do {
		left = clock_left(end);
		n = poll(&p, 1, left);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static int
acquire(struct scaleset *s, const struct json *ids, struct err *err)
{
	int status;

	if (!json_len(ids, ""))
		return 0;
	/* Asked twice, the second time has nothing to give. */
	return scaleset_api(s, "POST", "acquirejobs", ids, false, NULL,
		&status, err);
}

/* Only when everything that it said is done: killed before, it comes again. */
static int
handle(struct scaleset *s, const struct json *message, struct err *err)
{
	CLEANUP_JSON struct json *ids = json_array(), *statistics = NULL;
	int64_t id = json_int(message, "messageId", 0);

	if (id <= 0)
		return err_set(err, ERR_INVALID,
			"a message of scale set '%s' has no id",
			s->pool->scale_set);
	statistics = json_get(message, "statistics");
	if (scaleset_take(s, message, ids, err) || acquire(s, ids, err) ||
		scaleset_agree(s, statistics, err))
		return -1;
	return scaleset_delete(s, id, err);
}

/* One session, until it fails. *served: it did something. */
static int
session(struct scaleset *s, bool *served, struct err *err)
{
	CLEANUP_JSON struct json *statistics = NULL;

	if (scaleset_open_session(s, &statistics, err))
		return -1;
	log_info("scaleset.session", "pool", s->pool->name, "set",
		s->pool->scale_set, NULL);
	if (scaleset_agree(s, statistics, err))
		return -1;
	while (!pause_ms(s, 0)) {
		CLEANUP_JSON struct json *message = NULL;

		if (scaleset_next(s, &message, err))
			return -1;
		*served = true;
		if (message && handle(s, message, err))
			return -1;
	}
	return 0;
}

static void
complain(const struct scaleset *s, const struct err *why, int64_t wait)
{
	CLEANUP_FREE char *seconds = xasprintf("%" PRId64, wait / 1000);

	log_warning(why->code == ERR_EXISTS ? "scaleset.conflict" :
		"scaleset.failed", "pool", s->pool->name, "error", why->msg,
		"again_in_s", seconds, NULL);
}

static int
serve(struct scaleset *s)
{
	int64_t wait = PAUSE_MIN;

	for (;;) {
		struct err why = ERR_INIT;
		bool served = false;
		int rc = session(s, &served, &why);

		scaleset_close_session(s);
		if (!rc || why.code == ERR_CANCELED || pause_ms(s, 0))
			return 0;
		if (served)
			wait = PAUSE_MIN;
		complain(s, &why, wait);
		if (pause_ms(s, wait))
			return 0;
		wait = 2 * wait < PAUSE_MAX ? 2 * wait : PAUSE_MAX;
		/* The set may have been removed, the connection cut. */
		s->id = 0;
	}
}

int
scaleset_serve(struct state *st, const char *name, int stop, struct err *err)
{
	CLEANUP_POOL struct pool pool = POOL_INIT;
	CLEANUP_GITHUB struct github *gh = NULL;
	CLEANUP_CLOSE int lock = -1;
	struct scaleset s = { .st = st, .pool = &pool, .cancel = stop };
	int rc;

	if (pool_load(st, name, &pool, err))
		return -1;
	if (!pool.scale_set)
		return err_set(err, ERR_INVALID,
			"pool '%s' has no scale-set in the configuration",
			name);
	if (state_lock(st, "scaleset", name, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		return err_set(err, ERR_BUSY,
			"another process serves the scale set of pool '%s'",
			name);
	}
	if (github_open(st, pool.github, &gh, err))
		return -1;
	github_set_cancel(gh, stop);
	s.gh = gh;
	rc = serve(&s);
	scaleset_release(&s);
	return rc;
}
