#include "cmd/forge-vm/limit_options.h"

#include "lib/base/parse.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

char *limit_arg_pids, *limit_arg_io_weight, *limit_arg_disk_rate;
char *limit_arg_ttl, *limit_arg_idle;

static int
fill_one(const char *given, const char *what, int64_t *ret, struct err *err)
{
	if (!given)
		return 0;
	if (parse_duration(given, what, ret, err))
		return -1;
	return *ret ? 0 : err_set(err, ERR_USAGE, "%s: 0 is no time", what);
}

static int
fill_life(struct vm_spec *spec, struct err *err)
{
	return fill_one(limit_arg_ttl, "--ttl", &spec->ttl, err) ||
			fill_one(limit_arg_idle, "--idle", &spec->idle, err) ?
		-1 :
		0;
}

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
	if (limit_arg_disk_rate && parse_size(limit_arg_disk_rate, 4096,
					   (int64_t)1 << 42, "--disk-rate",
					   &l->disk_rate, err))
		return -1;
	return fill_life(spec, err);
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
	if (spec->ttl)
		argv_pushf(args, "--ttl=%lldms", (long long)spec->ttl);
	if (spec->idle)
		argv_pushf(args, "--idle=%lldms", (long long)spec->idle);
}
