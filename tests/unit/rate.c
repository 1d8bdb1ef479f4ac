/* The rules of rate.h on a clock of our own. */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/runner/rate.h"
#include "tests/unit/tap.h"

enum { MINUTE = 60000, MINTS = 1000 };

static const int64_t start = INT64_C(1700000000000);

static int
earlier(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* n processes at once, then one now and then: every one gets its turn. */
static void
test_mints(void)
{
	struct rate r = RATE_INIT;
	struct rate_ask ask = { .kind = RATE_MINT, .patience = INT64_MAX };
	int64_t at[MINTS], now = start, until;
	int i, j, most = 0, lost = 0;

	for (i = 0; i < MINTS; i++) {
		int64_t wait;

		if (i >= 400)
			now += i * 7919 % 700;
		wait = rate_take(&r, &ask, now, &until);
		lost += wait < 0;
		at[i] = now + wait;
	}
	qsort(at, MINTS, sizeof(at[0]), earlier);
	for (i = j = 0; i < MINTS; i++) {
		while (at[i] - at[j] > MINUTE)
			j++;
		if (i - j + 1 > most)
			most = i - j + 1;
	}
	is_int(lost, 0, "no mint is lost");
	ok(most <= 180, "no minute has more than 180");
	ok(most >= 179, "and the budget is used");
	is_int(at[RATE_BURST - 1] - start, 0, "the first do not wait");
	is_int(at[199] - start, 140 * RATE_SPACING, "200 take 70 s");
}

static void
test_patience(void)
{
	struct rate r = RATE_INIT;
	struct rate_ask ask = { .kind = RATE_WRITE, .patience = 1500 };
	int64_t until;

	is_int(rate_take(&r, &ask, start, &until), 0, "the first write");
	is_int(rate_take(&r, &ask, start, &until), 1000, "a second later");
	is_int(rate_take(&r, &ask, start, &until), -1, "beyond patience");
	is_int(until, start + 2000, "when it would be");
	is_int(rate_take(&r, &ask, start + 600, &until), 1400,
		"a turn that was not taken is free");
	ask.kind = RATE_READ;
	is_int(rate_take(&r, &ask, start, &until), 0, "reads do not queue");
	ask.kind = RATE_WRITE;
	ask.unpaced = true;
	is_int(rate_take(&r, &ask, start, &until), 0, "nor do the unpaced");
	ask.unpaced = false;
	is_int(rate_take(&r, &ask, start - 3600000, &until), 0,
		"a clock set back is no reason to wait");
}

static void
test_refusals(void)
{
	struct rate r = RATE_INIT;
	struct rate_answer no = { .refused = true, .retry_after = 17,
		.why = "slow", .budget = { -1, -1, -1 } };
	struct rate_answer yes = { .budget = { 5000, 4999, start } };
	struct rate_ask ask = { .kind = RATE_READ, .patience = INT64_MAX };
	int64_t until;
	int i;

	rate_learn(&r, &no, start);
	is_int(rate_take(&r, &ask, start, &until), 17000, "retry-after");
	rate_learn(&r, &yes, start + 5);
	is_int(rate_take(&r, &ask, start, &until), 17000,
		"one that was under way changes nothing");
	no.retry_after = 0;
	no.budget = (struct rate_budget){ 5000, 0, start + 200000 };
	rate_learn(&r, &no, start);
	is_int(rate_take(&r, &ask, start, &until), 200000, "the reset");
	r = RATE_INIT;
	no.budget = (struct rate_budget){ 5000, 5, start + 200000 };
	for (i = 0; i < 7; i++) {
		int64_t now = start + i * 100000000;

		rate_learn(&r, &no, now);
		is_int(rate_take(&r, &ask, now, &until),
			(int64_t)MINUTE << (i < 5 ? i : 5), "doubled, in the end not");
	}
	rate_learn(&r, &yes, start + 900000000);
	is_int(r.strikes, 0, "forgiven");
	ask.kind = RATE_FREE;
	rate_learn(&r, &no, start + 900000000);
	is_int(rate_take(&r, &ask, start + 900000000, &until), 0,
		"the question for the limits is always free");
}

static void
test_budgets(void)
{
	struct rate r = RATE_INIT;
	struct rate_answer a = { .budget = { 5000, 500, start + 60000 } };
	struct rate_ask ask = { .kind = RATE_READ, .background = true,
		.patience = INT64_MAX };
	int64_t until;

	rate_learn(&r, &a, start);
	is_int(rate_take(&r, &ask, start, &until), 60000,
		"the last tenth is not for sweeps");
	ask.background = false;
	is_int(rate_take(&r, &ask, start, &until), 0, "but for others");
	a.budget.remaining = 0;
	rate_learn(&r, &a, start);
	is_int(rate_take(&r, &ask, start, &until), 60000, "used up");
	is_int(rate_take(&r, &ask, start + 60000, &until), 0, "and full again");
	ask.kind = RATE_MINT;
	is_int(rate_take(&r, &ask, start, &until), 0, "mints have their own");
	a.registration = true;
	rate_learn(&r, &a, start);
	is_int(rate_take(&r, &ask, start, &until), 60000, "which also ends");
}

int
main(void)
{
	test_mints();
	test_patience();
	test_refusals();
	test_budgets();
	return done();
}
