#include "lib/session/spent.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/session/provider.h"
#include "lib/session/session.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define DAY 86400000 /* ms */

static int64_t
today(void)
{
	return clock_wall() / DAY;
}

int
spent_add(struct db *db, const struct session *s, int64_t cost,
	int64_t tokens, struct err *err)
{
	return db_run(db,
		"INSERT INTO spent VALUES (?, ?, ?, ?, ?)"
		" ON CONFLICT DO UPDATE SET"
		" cost_microusd = cost_microusd + excluded.cost_microusd,"
		" tokens = tokens + excluded.tokens",
		NULL, err, DB_I(today()), DB_S(s->identity ? s->identity : ""),
		DB_S(s->id), DB_I(cost), DB_I(tokens));
}

/* Of all identities when it is NULL. */
static int
sum(struct db *db, const char *identity, int64_t *ret_cost,
	int64_t *ret_tokens, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	if (db_query(db, &r, "SELECT coalesce(sum(cost_microusd), 0),"
		" coalesce(sum(tokens), 0) FROM spent"
		" WHERE day = ?1 AND (?2 IS NULL OR identity = ?2)", err,
		DB_I(today()), DB_S(identity)))
		return -1;
	rc = db_next(r, err);
	if (rc != 1)
		return rc;
	*ret_cost = db_int(r, 0);
	*ret_tokens = db_int(r, 1);
	return 0;
}

/* Dollars as a setting; 0: none is set. */
static int
budget(struct config *c, const char *section, const char *name,
	int64_t *ret, struct err *err)
{
	const char *text = config_str(c, section, name, "day-budget-usd", NULL);
	char *end;
	double usd;

	*ret = 0;
	if (!text)
		return 0;
	usd = strtod(text, &end);
	if (end == text || *end || !(usd > 0) || usd > 1e9)
		return err_set(err, ERR_INVALID,
			"%s.%s%sday-budget-usd '%.40s' is not an amount of "
			"dollars", section, name ? name : "", name ? "." : "",
			text);
	*ret = (int64_t)(usd * 1e6 + 0.5);
	return 0;
}

static int
check(struct db *db, struct config *c, const char *section, const char *name,
	struct err *err)
{
	int64_t max_cost, max_tokens, cost = 0, tokens = 0;
	CLEANUP_FREE char *whose = name ?
		xasprintf(" of identity '%s'", name) : xstrdup("");

	if (budget(c, section, name, &max_cost, err) ||
		config_int(c, section, name, "day-tokens", 0, &max_tokens, err))
		return -1;
	if (!max_cost && !max_tokens)
		return 0;
	if (sum(db, name, &cost, &tokens, err))
		return -1;
	if (max_cost && cost >= max_cost)
		return err_set(err, ERR_LIMIT,
			"today's budget%s is spent: $%.4f of $%.4f", whose,
			(double)cost / 1e6, (double)max_cost / 1e6);
	if (max_tokens && tokens >= max_tokens)
		return err_set(err, ERR_LIMIT,
			"today's tokens%s are used: %lld of %lld", whose,
			(long long)tokens, (long long)max_tokens);
	return 0;
}

int
spent_check(struct state *st, const struct session *s, struct err *err)
{
	struct config *c;
	struct db *db;

	if (state_db(st, &db, err) || state_config(st, &c, err) ||
		check(db, c, "session", NULL, err))
		return -1;
	return s->identity ? check(db, c, "identity", s->identity, err) : 0;
}

int64_t
spent_price(const struct provider *p, const char *model, int64_t tokens_in,
	int64_t tokens_out)
{
	size_t i, n = p->models ? json_len(p->models, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *m = json_at(p->models, i);
		double usd;

		if (model ? strcmp(json_str(m, "id", ""), model) != 0 :
			    !json_bool(m, "default", false))
			continue;
		/* A price is for a million, and we count in millionths. */
		usd = json_num(m, "input_usd", 0) * (double)tokens_in +
			json_num(m, "output_usd", 0) * (double)tokens_out;
		return usd > 0 && usd < 9e15 ? (int64_t)(usd + 0.5) : 0;
	}
	return 0;
}
