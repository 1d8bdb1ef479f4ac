#include "cmd/forge-vm/disk_options.h"

#include "lib/base/parse.h"
#include "lib/base/banned.h"

char *disk_arg_size, *disk_arg_base, *disk_arg_user_data;

int
disk_options_fill(struct disk_spec *ret, struct err *err)
{
	*ret = (struct disk_spec){ .base = disk_arg_base,
		.user_data = disk_arg_user_data };
	if (disk_arg_size && parse_size(disk_arg_size, DISK_MIN, DISK_MAX,
		"--disk", &ret->size, err))
		return -1;
	return disks_check(ret, err);
}

void
disk_options_push(const struct disk_spec *s, struct argv *a)
{
	if (s->size)
		argv_pushf(a, "--disk=%lld", (long long)s->size);
	if (s->base)
		argv_pushf(a, "--disk-base=%s", s->base);
	if (s->user_data)
		argv_pushf(a, "--user-data=%s", s->user_data);
}
