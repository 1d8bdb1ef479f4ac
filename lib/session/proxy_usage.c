#include "lib/session/proxy_usage.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const struct name {
	const char *text;
	bool output;
} names[] = {
	{ "\"input_tokens\":", false },
	{ "\"prompt_tokens\":", false },
	{ "\"promptTokenCount\":", false },
	{ "\"output_tokens\":", true },
	{ "\"completion_tokens\":", true },
	{ "\"candidatesTokenCount\":", true },
};

static void
number(const char *p, const char *end, int64_t *ret)
{
	int64_t n = 0;

	while (p < end && *p == ' ')
		p++;
	while (p < end && *p >= '0' && *p <= '9' && n < INT64_MAX / 100)
		n = n * 10 + (*p++ - '0');
	if (n > *ret)
		*ret = n;
}

static void
look(struct proxy_usage *u, const char *p, size_t n)
{
	const char *end = p + n, *at;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const char *text = names[i].text;

		for (at = p; (at = memmem(at, (size_t)(end - at), text,
				      strlen(text)));) {
			at += strlen(text);
			number(at, end,
				names[i].output ? &u->output : &u->input);
		}
	}
}

void
proxy_usage_take(struct proxy_usage *u, const void *p, size_t n)
{
	char seam[2 * sizeof(u->tail)];
	size_t head = n < sizeof(u->tail) ? n : sizeof(u->tail), keep;

	/* What lies across the end of the last piece; then this piece. */
	memcpy(seam, u->tail, u->kept);
	memcpy(seam + u->kept, p, head);
	look(u, seam, u->kept + head);
	look(u, p, n);
	if (n >= sizeof(u->tail)) {
		memcpy(u->tail, (const char *)p + n - sizeof(u->tail),
			sizeof(u->tail));
		u->kept = sizeof(u->tail);
		return;
	}
	keep = u->kept + n > sizeof(u->tail) ? sizeof(u->tail) - n : u->kept;
	memmove(u->tail, u->tail + u->kept - keep, keep);
	memcpy(u->tail + keep, p, n);
	u->kept = keep + n;
}
