#include "cmd/forge-session/rule_options.h"

#include <fcntl.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/on_ask.h"
#include "lib/session/policy.h"
#include "lib/session/session.h"
#include "lib/base/banned.h"

char **arg_policy;
char *arg_on_ask, *arg_budget, *arg_max_tokens, *arg_run_timeout,
	*arg_idle_timeout;
int arg_max_turns;

/* Read now, so that a mistake is found now, and again when it begins. */
static int
policy_paths(struct session *s, struct err *err)
{
	CLEANUP_POLICY struct policy *scratch = policy_new();
	struct json *list = json_array();
	int i;

	for (i = 0; arg_policy[i]; i++) {
		CLEANUP_FREE char *path = realpath(arg_policy[i], NULL);

		if (!path)
			(void)err_sys(err, "--policy '%s'", arg_policy[i]);
		if (!path || policy_read(scratch, AT_FDCWD, path, err)) {
			json_free(list);
			return -1;
		}
		json_push_str(list, path);
	}
	json_put(s->options, "policy", list);
	return 0;
}

static int
on_ask(struct session *s, struct err *err)
{
	enum on_ask mode;
	int64_t wait;

	if (on_ask_parse(arg_on_ask, &mode, &wait, err))
		return -1;
	json_put_str(s->options, "on_ask", arg_on_ask);
	return 0;
}

/* Dollars to millionths of one. */
static int
budget(int64_t *ret, struct err *err)
{
	char *end;
	double usd = strtod(arg_budget, &end);

	if (end == arg_budget || *end || !(usd > 0) || usd > 1e9)
		return err_set(err, ERR_USAGE,
			"--budget-usd '%s' is not an amount of dollars",
			arg_budget);
	*ret = (int64_t)(usd * 1e6 + 0.5);
	return 0;
}

int
rule_options(struct session *s, struct err *err)
{
	if ((arg_policy && policy_paths(s, err)) ||
		(arg_on_ask && on_ask(s, err)) ||
		(arg_budget && budget(&s->max_cost_microusd, err)) ||
		(arg_max_tokens && parse_i64(arg_max_tokens, 1, INT64_MAX,
			"--max-tokens", &s->max_tokens, err)) ||
		(arg_run_timeout && parse_duration(arg_run_timeout,
			"--timeout", &s->timeout_ms, err)) ||
		(arg_idle_timeout && parse_duration(arg_idle_timeout,
			"--idle-timeout", &s->idle_timeout_ms, err)))
		return -1;
	if (arg_max_turns < 0)
		return err_set(err, ERR_USAGE, "--max-turns must be positive");
	s->max_turns = arg_max_turns;
	return 0;
}
