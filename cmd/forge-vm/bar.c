#include "cmd/forge-vm/bar.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/banned.h"

#define WIDTH 40

static void
show(void *arg, const char *what, int64_t done, int64_t total)
{
	static const char marks[] = "########################################";
	struct bar *b = arg;
	int percent = total > 0 ? (int)(100.0 * (double)done / (double)total) :
				  0;

	if (percent > 100)
		percent = 100;
	if (percent == b->percent)
		return;
	b->percent = percent;
	(void)fprintf(stderr, "\r%-10.10s [%-*.*s] %3d%%", what, WIDTH,
		percent * WIDTH / 100, marks, percent);
	(void)fflush(stderr);
}

const struct progress *
bar_init(struct bar *b)
{
	*b = (struct bar){ .progress = { .at = show, .arg = b },
		.percent = -1 };
	return !common.quiet && isatty(STDERR_FILENO) ? &b->progress : NULL;
}

void
bar_done(struct bar *b)
{
	if (b->percent >= 0)
		(void)fputs("\r\033[K", stderr);
	b->percent = -1;
}
