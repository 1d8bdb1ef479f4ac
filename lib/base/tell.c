#include "lib/base/tell.h"

#include <stdarg.h>
#include <stddef.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

void
tell_line(tell_fn *told, const char *fmt, ...)
{
	CLEANUP_FREE char *line = NULL;
	va_list ap;

	if (!told)
		return;
	va_start(ap, fmt);
	line = xvasprintf(fmt, ap);
	va_end(ap);
	told(line);
}
