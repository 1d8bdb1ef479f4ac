/*
 * Frames from a hostile guest: whatever comes, in whatever pieces, is
 * refused or taken without harm, and cutting it elsewhere changes nothing.
 */
#include "lib/vm/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A number that tells of all frames in their order. */
static uint64_t
digest(uint64_t h, const struct frame *f)
{
	uint32_t i;

	h = h * 31 + f->type;
	h = h * 31 + f->flags;
	h = h * 31 + f->stream;
	h = h * 31 + f->length;
	for (i = 0; i < f->length; i++)
		h = h * 31 + f->payload[i];
	return h;
}

static void
strings(const struct frame *f)
{
	const char *s;
	size_t pos = 0, total = 0;

	while ((s = frame_string(f->payload, f->length, &pos)))
		total += strlen(s) + 1;
	if (total > f->length)
		abort();
}

static uint64_t
all(const uint8_t *p, size_t n, size_t step)
{
	static struct frame_reader r;
	struct frame f;
	uint64_t h = 0;

	frame_reader_init(&r);
	while (n) {
		size_t room, k = n < step ? n : step;
		void *to = frame_reader_space(&r, &room);

		if (!room)
			abort();
		k = k < room ? k : room;
		memcpy(to, p, k);
		frame_reader_fill(&r, k);
		p += k;
		n -= k;
		while (frame_next(&r, &f)) {
			if (f.length > FRAME_PAYLOAD_MAX)
				abort();
			strings(&f);
			h = digest(h, &f);
		}
	}
	return h;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size ? data[0] + 1u : 1;
	uint64_t whole = all(data, size, SIZE_MAX);

	if (all(data, size, step) != whole)
		abort();
	return 0;
}
