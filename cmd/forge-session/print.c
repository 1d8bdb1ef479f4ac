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
#include "lib/base/banned.h"

int
printer_open(struct printer *p, struct err *err)
{
	p->mask = isatty(STDOUT_FILENO);
	if (!common.filter)
		return 0;
	return output_open(&p->out, NULL, 0, err);
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
	CLEANUP_BUF struct buf masked = BUF_INIT;

	if (p->out)
		return filtered(p, lines, n, err);
	if (p->mask) {
		buf_add(&masked, lines, n);
		mask_text(masked.s, masked.len);
		lines = masked.s;
	}
	if (write_all(STDOUT_FILENO, lines, n))
		return err_sys(err, "cannot write to stdout");
	return 0;
}

int
printer_close(struct printer *p, struct err *err)
{
	return p->out ? output_close(p->out, err) : 0;
}
