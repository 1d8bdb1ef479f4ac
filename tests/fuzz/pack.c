/*
 * Packs from a hostile guest: refused or taken without harm, the same in
 * whatever pieces they come, and never more than the format allows.
 */
#include "lib/vm/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t sum;
	int in_file;
};

static void
add(struct seen *s, uint64_t v)
{
	s->sum = s->sum * 1099511628211u + v;
}

static int
entry(void *arg, const struct pack_entry *e)
{
	struct seen *s = arg;

	if (s->in_file || !*e->path || strlen(e->path) > PACK_PATH_MAX ||
		strlen(e->link) > PACK_PATH_MAX || e->mode > 07777 ||
		e->type == PACK_END || e->type >= PACK_TYPE__MAX ||
		e->mtime.tv_nsec > 999999999)
		abort();
	s->in_file = e->type == PACK_FILE;
	add(s, e->type);
	add(s, strlen(e->path));
	add(s, (uint64_t)e->path[0] << 8 | (unsigned char)e->link[0]);
	return 0;
}

static int
data(void *arg, const void *p, uint64_t n)
{
	struct seen *s = arg;
	const unsigned char *byte = p;

	if (!s->in_file)
		abort();
	if (!p)
		add(s, n);
	for (; p && n; n--)
		add(s, *byte++);
	return 0;
}

static int
finish(void *arg, int whole)
{
	struct seen *s = arg;

	if (!s->in_file)
		abort();
	s->in_file = 0;
	add(s, whole ? 77 : 78);
	return 0;
}

static uint64_t
all(const uint8_t *p, size_t n, size_t step)
{
	static const struct pack_sink sink = { entry, data, finish };
	static struct pack_reader r;
	struct seen s = { 0 };

	pack_reader_init(&r, &sink, &s);
	while (n) {
		size_t k = n < step ? n : step;

		if (pack_feed(&r, p, k))
			break;
		p += k;
		n -= k;
	}
	return s.sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint64_t whole = all(bytes, size, size ? size : 1);

	if (all(bytes, size, 1) != whole || all(bytes, size, 13) != whole)
		abort();
	return 0;
}
