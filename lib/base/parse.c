#include "lib/base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

int
parse_i64(const char *s, int64_t min, int64_t max, const char *what,
	int64_t *ret, struct err *err)
{
	char *end;
	intmax_t n;

	errno = 0;
	n = strtoimax(s, &end, 10);
	if (end == s || *end || strchr(" \t\r\n+", *s))
		return err_set(err, ERR_USAGE, "%s: '%s' is not a number",
			what, s);
	if (errno || n < min || n > max)
		return err_set(err, ERR_USAGE,
			"%s: '%s' is not between %" PRId64 " and %" PRId64,
			what, s, min, max);
	*ret = n;
	return 0;
}

int
parse_int(const char *s, int min, int max, const char *what, int *ret,
	struct err *err)
{
	int64_t n;

	if (parse_i64(s, min, max, what, &n, err))
		return -1;
	*ret = (int)n;
	return 0;
}

/* Digits with at most one point; *end is what stopped it. */
static int
parse_decimal(const char *s, const char **end, double *ret)
{
	size_t digits = strspn(s, "0123456789");
	size_t n = digits;

	if (s[n] == '.') {
		digits += strspn(s + n + 1, "0123456789");
		n += 1 + strspn(s + n + 1, "0123456789");
	}
	if (!digits || n > 30)
		return -1;
	*ret = 0;
	/* By hand: strtod would follow the locale's decimal point. */
	double scale = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '.') {
			scale = 1;
			continue;
		}
		*ret = *ret * 10 + (s[i] - '0');
		scale *= 10;
	}
	if (scale > 0)
		*ret /= scale;
	*end = s + n;
	return 0;
}

struct unit {
	const char *suffix;
	double factor;
};

static const struct unit *
unit_find(const struct unit *units, const char *suffix, size_t n)
{
	for (; units->suffix; units++)
		if (strlen(units->suffix) == n &&
			!strncasecmp(units->suffix, suffix, n))
			return units;
	return NULL;
}

static const struct unit sizes[] = {
	{ "", 1 }, { "b", 1 }, { "k", 1024.0 }, { "m", 1048576.0 },
	{ "g", 1073741824.0 }, { "t", 1099511627776.0 },
	{ "kib", 1024.0 }, { "mib", 1048576.0 }, { "gib", 1073741824.0 },
	{ "tib", 1099511627776.0 }, { 0 }
};

int
parse_size(const char *s, int64_t min, int64_t max, const char *what,
	int64_t *ret_bytes, struct err *err)
{
	const struct unit *u;
	const char *end;
	double n;

	if (parse_decimal(s, &end, &n) ||
		!(u = unit_find(sizes, end, strlen(end))))
		return err_set(err, ERR_USAGE,
			"%s: '%s' is not a size like 512M or 4G", what, s);
	n *= u->factor;
	if (n < (double)min || n > (double)max) {
		char lo[16], hi[16];

		return err_set(err, ERR_USAGE,
			"%s: '%s' is not between %s and %s", what, s,
			format_size(min, lo, sizeof(lo)),
			format_size(max, hi, sizeof(hi)));
	}
	*ret_bytes = (int64_t)n;
	return 0;
}

static const struct unit durations[] = {
	{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
	{ "h", 3600000 }, { "d", 86400000 }, { 0 }
};

int
parse_duration(const char *s, const char *what, int64_t *ret_ms,
	struct err *err)
{
	const double most = 3650.0 * 86400000;
	const char *p = s;
	double total = 0;

	do {
		const struct unit *u;
		const char *end;
		size_t len;
		double n;

		if (parse_decimal(p, &end, &n))
			goto bad;
		len = strcspn(end, "0123456789.");
		u = unit_find(durations, end, len);
		/* A bare number is seconds, but not as a part of many. */
		if (!u || (!len && p != s))
			goto bad;
		total += n * u->factor;
		p = end + len;
	} while (*p);
	if (total > most)
		return err_set(err, ERR_USAGE,
			"%s: '%s' is longer than ten years", what, s);
	*ret_ms = (int64_t)total;
	return 0;
bad:
	return err_set(err, ERR_USAGE,
		"%s: '%s' is not a duration like 90s, 5m or 1h30m", what, s);
}

int
parse_bool(const char *s, const char *what, bool *ret, struct err *err)
{
	static const char *const words[][2] = { { "true", "false" },
		{ "yes", "no" }, { "on", "off" }, { "1", "0" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcasecmp(s, words[i][0])) {
			*ret = true;
			return 0;
		}
		if (!strcasecmp(s, words[i][1])) {
			*ret = false;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "%s: '%s' is neither true nor false",
		what, s);
}

int
parse_name(const char *s, const char *what, struct err *err)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (n && n < 64 && !s[n] && strchr(first, *s))
		return 0;
	return err_set(err, ERR_USAGE,
		"%s: '%.80s' is not a name: 1 to 63 letters, digits, '.', "
		"'_' or '-', and a letter or digit first",
		what, s);
}

char *
format_size(int64_t bytes, char *buf, size_t size)
{
	static const char letters[] = "BKMGT";
	double n = (double)bytes;
	size_t i = 0;

	while (n >= 1024 && letters[i + 1]) {
		n /= 1024;
		i++;
	}
	if (!i)
		(void)snprintf(buf, size, "%" PRId64, bytes);
	else if (n < 10 && n - (double)(int64_t)n >= 0.05)
		(void)snprintf(buf, size, "%.1f%c", n, letters[i]);
	else
		(void)snprintf(buf, size, "%.0f%c", n, letters[i]);
	return buf;
}

char *
format_duration(int64_t ms, char *buf, size_t size)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		(void)snprintf(buf, size, "%" PRId64 "ms", ms);
	else if (s < 60)
		(void)snprintf(buf, size, "%.2fs", (double)ms / 1000);
	else if (s < 3600)
		(void)snprintf(buf, size, "%" PRId64 "m%02" PRId64 "s", s / 60,
			s % 60);
	else if (s < 86400)
		(void)snprintf(buf, size, "%" PRId64 "h%02" PRId64 "m",
			s / 3600, s / 60 % 60);
	else
		(void)snprintf(buf, size, "%" PRId64 "d%" PRId64 "h",
			s / 86400, s / 3600 % 24);
	return buf;
}
