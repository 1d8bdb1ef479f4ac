#include "cmd/forge-register/forge-register.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/banned.h"

int
read_input(const char *path, size_t max, struct buf *ret, struct err *err)
{
	if (!strcmp(path, "-"))
		return buf_read_fd(ret, STDIN_FILENO, max, "stdin", err);
	return fs_read(AT_FDCWD, path, max, ret, err);
}
