#include "lib/base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/banned.h"

static int64_t
now(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* cannot fail for these two */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_wall(void)
{
	return now(CLOCK_REALTIME);
}

int64_t
clock_mono(void)
{
	return now(CLOCK_MONOTONIC);
}

int
clock_left(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - clock_mono();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

char *
clock_format(int64_t wall_ms, char *buf, size_t size)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	char day[24];

	if (!gmtime_r(&t, &tm) ||
		!strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm)) {
		(void)snprintf(buf, size, "?");
		return buf;
	}
	(void)snprintf(buf, size, "%s.%03dZ", day, (int)(wall_ms % 1000));
	return buf;
}

int64_t
clock_parse(const char *s)
{
	struct tm tm = { 0 };
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0;
	int scale = 100;

	if (!p)
		return -1;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
			ms += (*p - '0') * scale;
	if (strcmp(p, "Z"))
		return -1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}
