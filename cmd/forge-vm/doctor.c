#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/vm/doctor.h"
#include "lib/base/banned.h"

static int arg_fresh;

const struct poptOption doctor_options[] = {
	{ "fresh", 0, POPT_ARG_NONE, &arg_fresh, 0,
		"boot a guest under KVM even if the answer is known", NULL },
	POPT_TABLEEND
};

int
cmd_doctor(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "CHECK", "check", 0 },
		{ "STATUS", "status", 0 }, { "DETAIL", "detail", 0 },
		{ "FIX", "fix", 0 } };
	CLEANUP_EMITTER struct emitter p = { .err = err };
	bool able;

	(void)argc;
	(void)argv;
	if (output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		doctor_run(arg_fresh, output_emit, &p, &able, err) ||
		output_close(&p.out, err))
		return err_status(err->code);
	return able ? EXIT_OK : EXIT_FAILED;
}
