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

struct printer {
	struct output *out;
	struct err *err;
};

static int
print(struct json *row, void *arg)
{
	struct printer *p = arg;

	return output_row(p->out, row, p->err);
}

int
cmd_doctor(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "CHECK", "check", 0 },
		{ "STATUS", "status", 0 }, { "DETAIL", "detail", 0 },
		{ "FIX", "fix", 0 } };
	struct printer p = { .err = err };
	bool able;

	(void)argc;
	(void)argv;
	if (output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		doctor_run(arg_fresh, print, &p, &able, err) ||
		output_close(p.out, err))
		return err_status(err->code);
	return able ? EXIT_OK : EXIT_FAILED;
}
