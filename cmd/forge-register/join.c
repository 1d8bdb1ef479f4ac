#include "cmd/forge-register/forge-register.h"

#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/runner/member.h"
#include "lib/state/state.h"
#include "lib/trust/bundle.h"
#include "lib/trust/pem.h"
#include "lib/base/banned.h"

static char *arg_host;
static int arg_force, arg_max = 0;

const struct poptOption join_options[] = {
	{ "host", 0, POPT_ARG_STRING, &arg_host, 0,
		"its host, instead of this host's name", "NAME" },
	{ "max-vms", 0, POPT_ARG_INT, &arg_max, 0,
		"how many VMs it may have, until the agent says", "N" },
	{ "force", 'f', POPT_ARG_NONE, &arg_force, 0,
		"also when this host has joined already", NULL },
	POPT_TABLEEND
};

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

int
cmd_join(int argc, const char **argv, struct err *err)
{
	struct member_options o = { .host = arg_host, .max_vms = arg_max,
		.force = arg_force };
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_STATE struct state *st = NULL;

	(void)argc;
	if (arg_max < 0 || arg_max > 100000)
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
