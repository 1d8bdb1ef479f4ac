#include "lib/runner/version.h"

#include "tests/unit/tap.h"

int
main(void)
{
	char v[32];

	ok(version_compare("2.329.0", "2.329.0") == 0, "the same");
	ok(version_compare("2.329.0", "2.330.0") < 0, "older");
	ok(version_compare("2.1000.0", "2.999.9") > 0, "numbers, not text");
	ok(version_compare("2.329", "2.329.0") == 0, "what lacks is 0");
	ok(version_compare("3", "2.999.999") > 0, "the first counts most");
	ok(version_compare("", "0.0.1") < 0, "nothing is the least");
	ok(version_of_file("actions-runner-linux-x64-2.330.0.tar.gz", v,
		   sizeof(v)), "a file has one");
	is_str(v, "2.330.0", "that one");
	ok(!version_of_file("actions-runner-linux-x64", v, sizeof(v)),
		"a name without");
	ok(!version_of_file("", v, sizeof(v)), "nothing");
	ok(!version_of_file("x-1.0.0000000000000000000000000000000000.tar", v,
		   sizeof(v)), "too long a one");
	return done();
}
