/*
 * output: what a command answers on stdout: a table for people, or JSON
 * Lines with --json, or what a jq filter (-q) makes of that JSON.
 *
 *	CLEANUP_OUTPUT struct output *o = NULL;
 *	static const struct column cols[] = {
 *		{ "NAME", "name" }, { "MEMORY", "memory_mb", COLUMN_RIGHT } };
 *	output_open(&o, cols, ARRAY_SIZE(cols), &err)
 *	output_row(o, json, &err)	for each; takes the json over
 *	output_close(&o, &err)		prints the table; flushes
 * Leaving the scope without output_close() prints no table.
 *
 * A table cell is the value at the column's key, control bytes replaced.
 * Without rows a table prints nothing.  JSON is printed as rows come.
 * Strings that filters yield are printed raw, other values as JSON (jq -r).
 */
#ifndef FORGE_BASE_OUTPUT_H
#define FORGE_BASE_OUTPUT_H

#include <stddef.h>
#include "lib/base/json.h"

enum column_flags {
	COLUMN_RIGHT = 1 << 0,
	COLUMN_SIZE = 1 << 1, /* bytes, shown as 4G */
	COLUMN_AGE = 1 << 2, /* ms since 1970, shown as how long ago */
	COLUMN_DURATION = 1 << 3, /* ms, shown as 1.24s */
	COLUMN_TIME = 1 << 4, /* ms since 1970, shown as a UTC time */
};

struct column {
	const char *title;
	const char *key; /* a path for json_str and friends */
	unsigned flags;
};

struct output;

int output_open(struct output **ret, const struct column *cols, size_t n,
	struct err *err) __attribute__((warn_unused_result));
int output_row(struct output *o, struct json *row, struct err *err)
	__attribute__((warn_unused_result));
/* *o is NULL then. */
int output_close(struct output **o, struct err *err)
	__attribute__((warn_unused_result));
void cleanup_output(struct output **o);
#define CLEANUP_OUTPUT __attribute__((cleanup(cleanup_output)))

/*
 * For library functions that give rows to a callback: output_emit as the
 * callback, a struct emitter as its argument.
 */
struct emitter {
	struct output *out;
	struct err *err;
};
int output_emit(struct json *row, void *emitter);
void cleanup_emitter(struct emitter *e);
#define CLEANUP_EMITTER __attribute__((cleanup(cleanup_emitter)))

/*
 * One object: with --json or -q as above, else "key: value" lines in the
 * order of its keys.  Takes the json over.
 */
int output_one(struct json *object, struct err *err)
	__attribute__((warn_unused_result));

/* Text that is nobody's JSON, as it is. */
int output_text(const struct buf *text, struct err *err)
	__attribute__((warn_unused_result));

#endif
