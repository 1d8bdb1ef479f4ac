/*
 * spent: what sessions have cost, by day (UTC), identity and session; the
 * budgets of a day are checked against it.
 *
 * Of the configuration: session.day-budget-usd and session.day-tokens for all
 * sessions together, identity.NAME.day-budget-usd and .day-tokens for those
 * of an identity.  A day that is over forgets nothing: rows stay.
 */
#ifndef FORGE_SESSION_SPENT_H
#define FORGE_SESSION_SPENT_H

#include <stdint.h>
#include "lib/base/err.h"

struct state;
struct db;
struct session;
struct provider;

/* One more use of a session; cost in millionths of a dollar. */
int spent_add(struct db *db, const struct session *s, int64_t cost,
	int64_t tokens, struct err *err) __attribute__((warn_unused_result));

/*
 * Is there something left today, for all and for the session's identity?
 * ERR_LIMIT says which budget is spent.
 */
int spent_check(struct state *st, const struct session *s, struct err *err)
	__attribute__((warn_unused_result));

/*
 * What tokens of the model cost by the provider's models.json, which has
 * input_usd and output_usd for a million; model NULL: the default one.  0
 * when nobody knows.
 */
int64_t spent_price(const struct provider *p, const char *model,
	int64_t tokens_in, int64_t tokens_out);

#endif
