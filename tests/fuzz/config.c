/*
 * A configuration file of any bytes: read, checked, and every entry located.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_all(struct config *c)
{
	CLEANUP_ARGV struct argv lines = ARGV_INIT, names = ARGV_INIT;
	struct err err = ERR_INIT;
	int64_t n;
	size_t i;

	if (config_check(c, &lines, &err))
		abort();
	config_names(c, "pool", &names);
	for (i = 0; i < names.n; i++) {
		if (!config_size(c, "pool", names.v[i], "memory", 0, &n,
			&err) && n < 0)
			abort();
		if (!config_duration(c, "pool", names.v[i], "job-timeout", 0,
			&n, &err) && n < 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
	struct config *c;
	struct err err = ERR_INIT;

	if (fd < 0 || write_all(fd, data, size))
		abort();
	if (setenv("FORGE_CONFIG", path, 1))
		abort();
	if (!config_open(AT_FDCWD, "/nonexistent", &c, &err)) {
		read_all(c);
		config_close(c);
	}
	(void)close(fd);
	return 0;
}
