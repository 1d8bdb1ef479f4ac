/* config_diff: what makes one list of settings from another. */
#include "lib/state/config.h"

#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "tests/unit/tap.h"
#include "lib/base/banned.h"

static void
check(const char *what, const char *before, const char *after,
	const char *expect)
{
	CLEANUP_ARGV struct argv a = ARGV_INIT, b = ARGV_INIT;
	CLEANUP_ARGV struct argv changes = ARGV_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	size_t i;

	argv_split(&a, before);
	argv_split(&b, after);
	config_diff(&a, &b, &changes);
	for (i = 0; i < changes.n; i++)
		buf_addf(&text, "%s%s", i ? " " : "", changes.v[i]);
	is_str(text.s, expect, what);
}

int
main(void)
{
	check("nothing from nothing", "", "", "");
	check("nothing", "a=1 b=2", "b=2 a=1", "");
	check("a change", "a=1 b=2", "a=1 b=3", "-b=2 +b=3");
	check("something new", "a=1", "a=1 a.b=1", "+a.b=1");
	check("something gone", "a=1 a.b=1", "a=1", "-a.b=1");
	check("the first and the last", "a=1 m=1", "m=1 z=1", "-a=1 +z=1");
	check("one of several of a name", "a=1 a=2 a=3", "a=1 a=3 a=4",
		"-a=2 +a=4");
	check("a key that begins another", "max=1 max-x=1", "max=2 max-x=1",
		"-max=1 +max=2");
	return done();
}
