#include "lib/base/tell.h"

#include <stdarg.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

void
tell(const struct tell *t, const char *fmt, ...)
{
	CLEANUP_FREE char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	line = xvasprintf(fmt, ap);
	va_end(ap);
	t->told(line, t->arg);
}
