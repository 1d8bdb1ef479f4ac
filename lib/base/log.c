#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

static enum log_level threshold = LOG_WARNING;
static int as_json;

static const struct {
	const char *name;
	int syslog; /* priority, for journald's prefix */
} levels[] = {
	[LOG_ERROR] = { "error", 3 },
	[LOG_WARNING] = { "warning", 4 },
	[LOG_INFO] = { "info", 6 },
	[LOG_DEBUG] = { "debug", 7 },
};
_Static_assert(ARRAY_SIZE(levels) == LOG_LEVEL__MAX, "a level without a row");

void
log_set_level(enum log_level level)
{
	threshold = level;
}

void
log_set_json(int on)
{
	as_json = on;
}

/* journald sets JOURNAL_STREAM to the device and inode of our stderr. */
static int
to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char id[64];

	if (!stream || fstat(STDERR_FILENO, &st))
		return 0;
	(void)snprintf(id, sizeof(id), "%lu:%lu", (unsigned long)st.st_dev,
		(unsigned long)st.st_ino);
	return !strcmp(stream, id);
}

static void
add_value(struct buf *b, const char *s)
{
	if (*s && !strpbrk(s, " \"=\\") && !strpbrk(s, "\n\r\t\x1b\x7f")) {
		buf_adds(b, s);
		return;
	}
	buf_addc(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_addf(b, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			buf_addf(b, "\\x%02x", (unsigned char)*s);
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '"');
}

static void
logfmt(struct buf *b, enum log_level level, const char *event, va_list ap)
{
	const char *key;
	char at[32];

	if (to_journal())
		buf_addf(b, "<%d>", levels[level].syslog);
	else
		buf_addf(b, "at=%s ", clock_format(clock_wall(), at,
			sizeof(at)));
	buf_addf(b, "level=%s program=%s event=%s", levels[level].name,
		program_name, event);
	while ((key = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);

		buf_addf(b, " %s=", key);
		add_value(b, value ? value : "");
	}
}

static void
json_record(struct buf *b, enum log_level level, const char *event, va_list ap)
{
	CLEANUP_JSON struct json *o = json_object();
	const char *key;

	json_put_int(o, "at", clock_wall());
	json_put_str(o, "level", levels[level].name);
	json_put_str(o, "program", program_name);
	json_put_str(o, "event", event);
	while ((key = va_arg(ap, const char *)))
		json_put_str(o, key, va_arg(ap, const char *));
	json_write(o, b);
}

void
log_record(enum log_level level, const char *event, ...)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	va_list ap;

	if (level > threshold)
		return;
	va_start(ap, event);
	if (as_json)
		json_record(&b, level, event, ap);
	else
		logfmt(&b, level, event, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	if (write(STDERR_FILENO, b.s, b.len) < 0)
		return; /* a log that is gone must not stop the work */
}
