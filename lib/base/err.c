#include "lib/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const struct {
	const char *name;
	enum exit_status status;
} codes[] = {
	[ERR_NONE] = { "ok", EXIT_OK },
	[ERR_SYS] = { "failed", EXIT_FAILED },
	[ERR_USAGE] = { "usage", EXIT_USAGE },
	[ERR_NOTFOUND] = { "not_found", EXIT_NOTFOUND },
	[ERR_EXISTS] = { "exists", EXIT_CONFLICT },
	[ERR_BUSY] = { "busy", EXIT_CONFLICT },
	[ERR_TIMEOUT] = { "timeout", EXIT_TIMEOUT },
	[ERR_INVALID] = { "invalid", EXIT_FAILED },
	[ERR_SCHEMA] = { "state", EXIT_STATE },
	[ERR_NET] = { "network", EXIT_REMOTE },
	[ERR_AUTH] = { "auth", EXIT_REMOTE },
	[ERR_LIMIT] = { "limit", EXIT_LIMIT },
	[ERR_CANCELED] = { "canceled", EXIT_FAILED },
	[ERR_PLACE] = { "place", EXIT_PLACE },
};
_Static_assert(ARRAY_SIZE(codes) == ERR_CODE__MAX, "a code without a row");

void
err_clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void
err_do_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err_clean(err->msg);
	err->code = code;
	err->sys = 0;
}

static enum err_code
code_of_errno(int e)
{
	switch (e) {
	case ENOENT:
		return ERR_NOTFOUND;
	case EEXIST:
		return ERR_EXISTS;
	default:
		return ERR_SYS;
	}
}

void
err_do_sys(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s",
		strerrordesc_np(saved) ? strerrordesc_np(saved) : "unknown");
	err_clean(err->msg);
	err->code = code_of_errno(saved);
	err->sys = saved;
	errno = saved;
}

void
err_do_wrap(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	size_t n;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", old);
	err_clean(err->msg);
}

int
err_status(enum err_code code)
{
	return codes[code].status;
}

const char *
err_name(enum err_code code)
{
	return codes[code].name;
}

/* One write, so that lines of several processes do not mix. */
static void
say(const char *prefix, const char *msg)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "%s: %s%s\n", program_name,
		prefix, msg);

	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to complain */
}

int
err_print(const struct err *err)
{
	say("", err->msg);
	return err_status(err->code);
}

void
warn(const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	err_clean(msg);
	say("warning: ", msg);
}

void
bug(const char *file, int line, const char *fmt, ...)
{
	char msg[512];
	va_list ap;
	int n = snprintf(msg, sizeof(msg), "BUG: %s:%d: ", file, line);

	va_start(ap, fmt);
	(void)vsnprintf(msg + n, sizeof(msg) - (size_t)n, fmt, ap);
	va_end(ap);
	say("", msg);
	abort();
}
