/* The rules of rate.h: no clock, no file. */
#include "lib/runner/rate.h"

#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum {
	MINUTE = 60 * 1000,
	STRIKES_MAX = 6, /* 32 minutes */
	LIMIT_MAX = 24 * 3600, /* s; a longer one is a mistake */
	BACKGROUND_SHARE = 10, /* one in so many is left to others */
};

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A clock that was set back must not make us wait for the old time. */
static void
forget_future(struct rate *r, int64_t now)
{
	if (r->write_at > now + 10 * MINUTE)
		r->write_at = 0;
	if (r->mint_at > now + 60 * MINUTE)
		r->mint_at = 0;
	if (r->blocked_until > now + LIMIT_MAX * INT64_C(1000))
		r->blocked_until = 0;
}

/* When the budget allows a call; now when it does already. */
static int64_t
budget_from(const struct rate_budget *b, bool background, int64_t now)
{
	int64_t spare = background ? b->limit / BACKGROUND_SHARE : 0;

	if (b->remaining < 0 || b->reset <= now || b->remaining > spare)
		return now;
	return b->reset;
}

int64_t
rate_take(struct rate *r, const struct rate_ask *ask, int64_t now,
	int64_t *ret_until)
{
	const int64_t burst = (int64_t)(RATE_BURST - 1) * RATE_SPACING;
	enum rate_kind paced = ask->unpaced ? RATE_READ : ask->kind;
	int64_t at = now;

	forget_future(r, now);
	if (ask->kind == RATE_FREE)
		return 0;
	at = later(at, r->blocked_until);
	at = later(at, budget_from(ask->kind == RATE_MINT ? &r->registration :
			&r->core, ask->background, now));
	if (paced == RATE_WRITE)
		at = later(at, r->write_at);
	if (paced == RATE_MINT)
		at = later(at, r->mint_at - burst);
	*ret_until = at;
	if (at - now > ask->patience)
		return -1;
	if (paced == RATE_WRITE)
		r->write_at = at + RATE_WRITE_SPACING;
	if (paced == RATE_MINT)
		r->mint_at = later(r->mint_at, at) + RATE_SPACING;
	return at - now;
}

static void
block(struct rate *r, const struct rate_answer *a, int64_t now)
{
	const struct rate_budget *b = &a->budget;
	int64_t wait;

	if (a->retry_after > 0) {
		wait = a->retry_after < LIMIT_MAX ? a->retry_after : LIMIT_MAX;
		wait *= 1000;
	} else if (b->remaining == 0 && b->reset > now) {
		wait = b->reset - now < LIMIT_MAX * INT64_C(1000) ?
			b->reset - now : LIMIT_MAX * INT64_C(1000);
	} else {
		wait = (int64_t)MINUTE << r->strikes;
		if (r->strikes < STRIKES_MAX - 1)
			r->strikes++;
	}
	r->blocked_until = later(r->blocked_until, now + wait);
	(void)snprintf(r->why, sizeof(r->why), "%s", a->why ? a->why : "");
}

void
rate_learn(struct rate *r, const struct rate_answer *a, int64_t now)
{
	struct rate_budget *b = a->registration ? &r->registration : &r->core;

	if (a->budget.limit >= 0 && a->budget.remaining >= 0)
		*b = a->budget;
	if (a->refused) {
		block(r, a, now);
		return;
	}
	/* One that was under way when another was refused proves nothing. */
	if (r->blocked_until <= now) {
		r->blocked_until = 0;
		r->strikes = 0;
		r->why[0] = '\0';
	}
}
