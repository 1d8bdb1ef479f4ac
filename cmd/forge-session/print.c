#include "cmd/forge-session/forge-session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mask.h"
#include "lib/base/output.h"
#include "lib/session/format.h"
#include "lib/session/session.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

char *arg_format;

int
printer_open(struct printer *p, struct err *err)
{
	p->mask = isatty(STDOUT_FILENO);
	if (!common.filter)
		return 0;
	if (arg_format)
		return err_set(err, ERR_USAGE,
			"--format and --filter exclude each other");
	return output_open(&p->out, NULL, 0, err);
}

int
printer_format(struct printer *p, const char *fallback, struct state *st,
	const struct session *s, struct err *err)
{
	const char *name = arg_format ? arg_format : fallback;

	if (p->out || !strcmp(name, "ndjson"))
		return 0;
	p->st = st;
	p->s = s;
	return format_open(st, name, s, &p->format, err);
}

static int
put(const struct printer *p, const char *s, size_t n, struct err *err)
{
	CLEANUP_BUF struct buf masked = BUF_INIT;

	if (p->mask) {
		buf_add(&masked, s, n);
		mask_text(masked.s, masked.len);
		s = masked.s;
	}
	if (write_all(STDOUT_FILENO, s, n))
		return err_sys(err, "cannot write to stdout");
	return 0;
}

static int
filtered(struct printer *p, const char *lines, size_t n, struct err *err)
{
	while (n) {
		const char *newline = memchr(lines, '\n', n);
		size_t len = newline ? (size_t)(newline + 1 - lines) : n;
		struct json *event;

		if (json_parse(lines, len, &event, err) ||
			output_row(p->out, event, err))
			return -1;
		lines += len;
		n -= len;
	}
	if (fflush(stdout))
		return err_sys(err, "cannot write to stdout");
	return 0;
}

int
print_lines(const char *lines, size_t n, void *printer, struct err *err)
{
	struct printer *p = printer;
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (p->out)
		return filtered(p, lines, n, err);
	if (!p->format)
		return put(p, lines, n, err);
	if (format_lines(p->format, lines, n, &text, err))
		return -1;
	return put(p, text.s, text.len, err);
}

/* Its row says whether what is open was left open. */
static int
format_close(struct printer *p, struct err *err)
{
	CLEANUP_SESSION struct session now = SESSION_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct db *db;
	int rc;

	rc = state_db(p->st, &db, err) ||
		session_get(db, p->s->id, &now, err) ||
		format_end(p->format, &now, &text, err);
	format_free(p->format);
	p->format = NULL;
	return rc ? -1 : put(p, text.s, text.len, err);
}

int
printer_close(struct printer *p, struct err *err)
{
	if (p->format && format_close(p, err))
		return -1;
	return p->out ? output_close(&p->out, err) : 0;
}
