#include "cmd/forge-vm/limit_options.h"

#include "lib/base/parse.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

char *limit_arg_pids, *limit_arg_io_weight, *limit_arg_disk_rate;

int
limit_options_fill(struct vm_spec *spec, struct err *err)
{
	struct vm_limits *l = &spec->limits;

	if (limit_arg_pids && parse_int(limit_arg_pids, 16, 4194304, "--pids",
				      &l->pids, err))
		return -1;
	if (limit_arg_io_weight && parse_int(limit_arg_io_weight, 1, 10000,
					   "--io-weight", &l->io_weight, err))
		return -1;
	return limit_arg_disk_rate ?
		parse_size(limit_arg_disk_rate, 4096, (int64_t)1 << 42,
			"--disk-rate", &l->disk_rate, err) :
		0;
}

void
limit_options_args(const struct vm_spec *spec, struct argv *args)
{
	if (spec->limits.pids)
		argv_pushf(args, "--pids=%d", spec->limits.pids);
	if (spec->limits.io_weight)
		argv_pushf(args, "--io-weight=%d", spec->limits.io_weight);
	if (spec->limits.disk_rate)
		argv_pushf(args, "--disk-rate=%lld",
			(long long)spec->limits.disk_rate);
}
