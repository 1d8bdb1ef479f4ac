/*
 * What forge-register becomes for its verb join.
 */
#include <string.h>

#include "cmd/forge-register/forge-register.h"
#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/runner/member.h"
#include "lib/state/state.h"
#include "lib/trust/bundle.h"
#include "lib/trust/pem.h"
#include "lib/base/banned.h"

static int
print_member(const struct member *m, struct err *err)
{
	struct json *o = json_object();

	json_put_str(o, "agent", m->id);
	json_put_str(o, "url", m->url);
	json_put_int(o, "not_before", m->not_before);
	json_put_int(o, "not_after", m->not_after);
	return output_one(o, err);
}

static int
join(int argc, const char **argv, struct err *err)
{
	struct member_options o = { .host = join_args.host,
		.max_vms = join_args.max, .force = join_args.force };
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (join_args.max < 0 || join_args.max > 100000)
		return cmd_usage(err, "--max-vms: 0 to 100000");
	if (strcmp(argv[0], "-") != 0)
		buf_adds(&text, argv[0]);
	else if (read_input("-", BUNDLE_MAX, &text, err))
		return err_status(err->code);
	if (state_open(&st, err) ||
		member_join(st, text.s, text.len, &o, &m, err) ||
		print_member(&m, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	static const struct verb verb = { "join", "BUNDLE | -",
		"make this host an agent of another", join_options, 1, 1, 0,
		join, NULL };
	static const struct program program = { "forge-register",
		"who may take part", &verb, 1 };

	return cmd_main(&program, argc, argv);
}
