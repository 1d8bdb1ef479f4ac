#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>

#include "lib/base/argv.h"
#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/vm/plan.h"
#include "lib/base/banned.h"

/* For people: a line for a shell, then what would change on the host. */
static int
print_text(const struct json *plan)
{
	CLEANUP_JSON struct json *argv = json_get(plan, "argv");
	CLEANUP_JSON struct json *changes = json_get(plan, "changes");
	CLEANUP_ARGV struct argv words = ARGV_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < json_len(argv, ""); i++) {
		CLEANUP_JSON struct json *word = json_at(argv, i);

		argv_push(&words, json_str(word, "", ""));
	}
	argv_quote((const char *const *)words.v, &b);
	puts(b.s);
	for (i = 0; i < json_len(changes, ""); i++) {
		CLEANUP_JSON struct json *line = json_at(changes, i);

		printf("# %s\n", json_str(line, "", ""));
	}
	if (!json_bool(plan, "usable", true))
		printf("# cannot be started here: %s (%s)\n",
			json_str(plan, "why", "nobody knows why"),
			json_str(plan, "fix", "see `forge-vm doctor`"));
	return 0;
}

int
plan_print(struct state *st, const struct vm_spec *spec, struct err *err)
{
	struct json *plan;

	if (vm_plan(st, spec, &plan, err))
		return -1;
	if (common.json || common.filter)
		return output_one(plan, err);
	(void)print_text(plan);
	json_free(plan);
	return 0;
}
