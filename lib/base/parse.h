/*
 * parse: text to numbers and names, with bounds, and a clear line otherwise.
 *
 * what names the thing for the message ("--memory", "pool 'x': max").  All
 * fail with ERR_USAGE and leave *ret alone.
 */
#ifndef FORGE_BASE_PARSE_H
#define FORGE_BASE_PARSE_H

#include <stdint.h>
#include <stddef.h>
#include <stdbool.h>
#include "lib/base/err.h"

int parse_i64(const char *s, int64_t min, int64_t max, const char *what,
	int64_t *ret, struct err *err) __attribute__((warn_unused_result));
int parse_int(const char *s, int min, int max, const char *what, int *ret,
	struct err *err) __attribute__((warn_unused_result));
/* "512M", "4G", "1.5G", "65536": bytes; K M G T are powers of 1024. */
int parse_size(const char *s, int64_t min, int64_t max, const char *what,
	int64_t *ret_bytes, struct err *err)
	__attribute__((warn_unused_result));
/* "90" (seconds), "500ms", "30s", "5m", "6h", "2d", "1h30m": milliseconds. */
int parse_duration(const char *s, const char *what, int64_t *ret_ms,
	struct err *err) __attribute__((warn_unused_result));
/* true/false yes/no on/off 1/0, as git has it. */
int parse_bool(const char *s, const char *what, bool *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * A name for a VM, image, runner, pool: 1 to 63 of a-z A-Z 0-9 . _ - and the
 * first a letter or digit; so it is one path component and no option.
 */
int parse_name(const char *s, const char *what, struct err *err)
	__attribute__((warn_unused_result));

/* "4G", "512M", "1.5M": into buf of at least 16 bytes; returns buf. */
char *format_size(int64_t bytes, char *buf, size_t size);
/* "45ms", "1.24s", "3m05s", "2h10m", "3d4h": at least 16 bytes. */
char *format_duration(int64_t ms, char *buf, size_t size);

#endif
