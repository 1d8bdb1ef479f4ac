#include "lib/vm/supervise_internal.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/parse.h"
#include "lib/vm/hold.h"
#include "lib/base/banned.h"

#define END_GRACE 10000 /* ms from TERM to KILL inside the guest */

void
life_ready(struct supervisor *s)
{
	const struct vm_spec *spec = &s->boot->spec;

	if (spec->ttl)
		s->life.ends_at = s->started + spec->ttl;
	if (spec->idle)
		s->life.idle_at = clock_mono() + spec->idle;
}

int64_t
life_at(const struct supervisor *s)
{
	const struct life *l = &s->life;

	if (s->stopping || !s->ready)
		return -1;
	if (l->held)
		return l->held_until;
	if (l->command != LIFE_ON)
		return 0;
	if (l->ends_at < 0 || l->idle_at < 0)
		return l->ends_at < 0 ? l->idle_at : l->ends_at;
	return l->ends_at < l->idle_at ? l->ends_at : l->idle_at;
}

void
life_look(struct supervisor *s)
{
	s->life.held = false;
}

static void
see_use(struct supervisor *s)
{
	bool used = false;
	int i;

	if (!s->boot->spec.idle || !s->ready)
		return;
	for (i = 0; i < CLIENTS; i++)
		used = used || s->clients[i].used;
	if (used)
		s->life.idle_at = -1;
	else if (s->life.idle_at < 0)
		s->life.idle_at = clock_mono() + s->boot->spec.idle;
}

/* Trouble with the database does not make a VM immortal. */
static bool
is_held(struct supervisor *s)
{
	struct err err = ERR_INIT;
	int64_t until, left;

	if (vm_held(s->db, s->boot->spec.name, &until, &err)) {
		log_warning("vm.held", "name", s->boot->spec.name, "error",
			err.msg, NULL);
		return false;
	}
	left = until - clock_wall();
	if (left <= 0)
		return false;
	s->life.held = true;
	s->life.held_until = until >= HOLD_FOREVER ? -1 : clock_mono() + left;
	return true;
}

static void
expire(struct supervisor *s, const char *why, const char *reason)
{
	struct err err = ERR_INIT;

	if (vm_expired(s->db, s->boot->spec.name, why, reason, &err))
		log_warning("vm.expired", "name", s->boot->spec.name, "error",
			err.msg, NULL);
	if (s->boot->exec) {
		supervisor_fail(s, ERR_TIMEOUT, "%s", reason);
		return;
	}
	s->life.reason = reason;
	supervisor_stop(s, END_GRACE);
}

void
life_step(struct supervisor *s)
{
	struct life *l = &s->life;

	if (s->stopping || !s->ready || s->err.code)
		return;
	see_use(s);
	if (clock_left(life_at(s)) != 0)
		return;
	l->held = false; /* its time, if any, is over */
	if (clock_left(life_at(s)) != 0 || is_held(s))
		return;
	if (l->command == LIFE_DONE)
		supervisor_stop(s, 0); /* nothing of it is to be kept */
	else if (l->command == LIFE_LATE)
		supervisor_fail(s, ERR_TIMEOUT,
			"the command took longer than --timeout");
	else if (!clock_left(l->ends_at))
		expire(s, "ttl", "its time was over (--ttl)");
	else
		expire(s, "idle", "nobody used it for long enough (--idle)");
}
