/*
 * VMs that an agent has and nobody waits for: their runners were given up
 * while it was away, or the order to destroy them was lost with a connection.
 * GitHub has such a runner no more, so no job can be in it.
 */
#include "lib/stream/internal.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define STRAY 5000 /* ms: an agent tells of an end before its VM is gone */

static bool
awaited(const struct agent *a, const char *name)
{
	const struct place *p;

	for (p = a->s->places; p; p = p->next)
		if (p->runner && p->agent && p->state != PLACE_OVER &&
			!strcmp(p->agent, a->id) && !strcmp(p->name, name))
			return true;
	return false;
}

/* Of ours, and over: VMs that the log does not know are none of our business. */
static bool
removed(struct stream *s, const char *name)
{
	static const char sql[] =
		"SELECT count(*) FROM event WHERE subject = ?1 AND "
		"kind = 'runner.removed' AND at < ?2";
	struct err err = ERR_INIT;
	int64_t n = 0;

	if (db_get_int(s->db, &n, sql, &err, DB_S(name),
		    DB_I(clock_wall() - STRAY)))
		log_error("stream.stray", "error", err.msg, NULL);
	return n > 0;
}

void
strays_look(struct agent *a)
{
	size_t i;

	if (a->strayed && stream_now(a->s) - a->strayed < STRAY)
		return;
	a->strayed = stream_now(a->s);
	for (i = 0; i < a->names.n; i++) {
		const char *name = a->names.v[i];

		if (awaited(a, name) || !removed(a->s, name))
			continue;
		log_info("stream.stray", "agent", a->id, "name", name, NULL);
		agent_destroy(a, "", name);
	}
}
