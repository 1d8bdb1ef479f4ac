/*
 * A policy and what an agent asks, any bytes: rules, a zero byte, the tool, a
 * zero byte, its input.  Deny wins, and the rules made for a use are rules
 * that allow it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/session/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* As in json.c: libjq 1.6 loses a string that follows another. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}

static void
check(const char *rules, size_t n, const struct policy_use *use)
{
	CLEANUP_POLICY struct policy *p = policy_new();
	CLEANUP_POLICY struct policy *own = policy_new();
	CLEANUP_FREE char *made = policy_rules_for(use);
	const char *denies = "deny *\ndeny Bash\ndeny Edit\ndeny Read\n"
			     "deny WebFetch";
	struct err err = ERR_INIT;

	if (!policy_parse(p, "rules", rules, n, &err)) {
		(void)policy_decide(p, use, NULL);
		if (policy_parse(p, "last", denies,
			    strlen(denies), &err))
			abort();
		if (policy_decide(p, use, NULL) != POLICY_DENY)
			abort();
	}
	if (made && (policy_parse(own, "made", made, strlen(made), &err) ||
			    policy_decide(own, use, NULL) != POLICY_ALLOW))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = xstrndup((const char *)data, size);
	CLEANUP_FREE char *copy = xmalloc(size + 3);
	CLEANUP_JSON struct json *input = NULL;
	struct policy_use use = { .cwd = "/w", .home = "/h" };
	struct err err = ERR_INIT;
	size_t n = strlen(text), m;

	memcpy(copy, data, size);
	memset(copy + size, 0, 3);
	use.tool = n < size ? copy + n + 1 : "";
	m = n + 1 + strlen(use.tool) + 1;
	if (m < size && json_parse(copy + m, size - m, &input, &err))
		input = json_object();
	if (m < size && json_len(input, "") == 0) {
		/* Not JSON: then it is a command. */
		json_free(input);
		input = json_object();
		json_put_str(input, "command", copy + m);
	}
	use.input = input;
	check(copy, n, &use);
	return 0;
}
