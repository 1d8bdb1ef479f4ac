/*
 * filter: a jq program, compiled once and run on many values.
 *
 * Compiling starts libjq, which takes milliseconds: do it only when a filter
 * was given.
 */
#ifndef FORGE_BASE_FILTER_H
#define FORGE_BASE_FILTER_H

#include "lib/base/json.h"

struct filter;

/* ERR_USAGE with jq's own reason when the program does not compile. */
int filter_compile(const char *program, struct filter **ret, struct err *err)
	__attribute__((warn_unused_result));
/* A program that nobody typed: what names it for the message. */
int filter_compile_as(const char *what, const char *program,
	struct filter **ret, struct err *err)
	__attribute__((warn_unused_result));
void filter_free(struct filter *f);

/*
 * Run on one value (not consumed); each result is given to emit (which owns
 * it then).  A non-zero return of emit stops.  An error raised by the
 * program is ERR_INVALID.
 */
int filter_run(struct filter *f, const struct json *in,
	int (*emit)(struct json *result, void *arg), void *arg,
	struct err *err) __attribute__((warn_unused_result));

#endif
