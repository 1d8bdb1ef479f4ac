/* What is known of GitHub's limits, from run/rate: nobody is asked for it. */
#include "lib/runner/openmetrics_rate.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/runner/rate.h"
#include "lib/state/config.h"
#include "lib/state/metrics.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* Of all sections: families must not be mixed. */
struct gauges {
	struct buf limit, remaining, reset, blocked;
};

static void
gauges_release(struct gauges *g)
{
	buf_release(&g->limit);
	buf_release(&g->remaining);
	buf_release(&g->reset);
	buf_release(&g->blocked);
}

static void
sample(struct buf *out, const char *name, const char *github,
	const char *budget, int64_t value)
{
	CLEANUP_JSON struct json *labels = json_object();
	char text[24];

	json_put_str(labels, "github", github);
	if (budget)
		json_put_str(labels, "budget", budget);
	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	metrics_sample(out, name, "", labels, text);
}

/* One whose hour is over is whole again, and no longer known. */
static void
add_budget(struct gauges *g, const char *github, const char *name,
	const struct rate_budget *b, int64_t now)
{
	if (b->limit < 0 || b->remaining < 0 || b->reset <= now)
		return;
	sample(&g->limit, "forge_github_rate_limit", github, name, b->limit);
	sample(&g->remaining, "forge_github_rate_remaining", github, name,
		b->remaining);
	sample(&g->reset, "forge_github_rate_reset_seconds", github, name,
		(b->reset - now) / 1000);
}

static int
add_github(struct state *st, const char *name, struct gauges *g,
	struct err *err)
{
	int64_t now = clock_wall();
	struct rate r;

	if (rate_load(st, name, &r, err))
		return -1;
	add_budget(g, name, "core", &r.core, now);
	add_budget(g, name, "registration", &r.registration, now);
	sample(&g->blocked, "forge_github_blocked_seconds", name, NULL,
		r.blocked_until > now ? (r.blocked_until - now) / 1000 : 0);
	return 0;
}

static void
family(struct buf *out, const char *name, const char *help,
	const struct buf *samples)
{
	metrics_family(out, name, "gauge", help);
	buf_add(out, samples->s, samples->len);
}

int
openmetrics_rate(struct state *st, struct buf *out, struct err *err)
{
	__attribute__((cleanup(gauges_release))) struct gauges g = { BUF_INIT,
		BUF_INIT, BUF_INIT, BUF_INIT };
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	size_t i;

	if (state_config(st, &c, err))
		return -1;
	config_names(c, "github", &names);
	for (i = 0; i < names.n; i++)
		if (add_github(st, names.v[i], &g, err))
			return -1;
	family(out, "forge_github_rate_limit",
		"Calls that GitHub allows until the reset, by budget.",
		&g.limit);
	family(out, "forge_github_rate_remaining",
		"How many of them are left.", &g.remaining);
	family(out, "forge_github_rate_reset_seconds",
		"How long until the budget is whole again.", &g.reset);
	family(out, "forge_github_blocked_seconds",
		"How long nobody calls, because GitHub refused.", &g.blocked);
	return 0;
}
