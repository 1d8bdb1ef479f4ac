/*
 * tap: what a unit test says (TAP, for prove).
 *
 *	int main(void)
 *	{
 *		is_int(add(1, 2), 3, "1 + 2");
 *		return done();
 *	}
 *
 * done() prints the plan and gives the exit status.  All but done() return
 * whether it held.
 */
#ifndef FORGE_TESTS_TAP_H
#define FORGE_TESTS_TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_run, tap_failed;

#define ok(cond, name) tap_ok((cond), (name), __FILE__, __LINE__)
static inline bool
tap_ok(bool held, const char *name, const char *file, int line)
{
	printf("%sok %d - %s\n", held ? "" : "not ", ++tap_run, name);
	if (!held) {
		tap_failed++;
		printf("# %s:%d\n", file, line);
	}
	(void)fflush(stdout); /* a crash later must not lose it */
	return held;
}

#define is_int(got, want, name) \
	tap_int((got), (want), (name), __FILE__, __LINE__)
static inline bool
tap_int(int64_t got, int64_t want, const char *name, const char *file,
	int line)
{
	if (tap_ok(got == want, name, file, line))
		return true;
	printf("# got %" PRId64 ", want %" PRId64 "\n", got, want);
	return false;
}

#define is_str(got, want, name) \
	tap_str((got), (want), (name), __FILE__, __LINE__)
static inline bool
tap_str(const char *got, const char *want, const char *name, const char *file,
	int line)
{
	bool same = got && want ? !strcmp(got, want) : got == want;

	if (tap_ok(same, name, file, line))
		return true;
	printf("# got  '%s'\n# want '%s'\n", got ? got : "(null)",
		want ? want : "(null)");
	return false;
}

static inline void
skip(const char *name, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_run, name, why);
}

static inline int
done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}

#endif
