/*
 * Frames: written, cut at every byte, buried in garbage, and always found
 * again whole or not at all.
 */
#include "lib/vm/frame.h"

#include <stdlib.h>
#include "tests/unit/tap.h"

/* CRC-32 by its definition, to check the table of the real one. */
static uint32_t
crc_slow(const unsigned char *p, size_t n)
{
	uint32_t c = ~0u;
	int i;

	while (n--) {
		c ^= *p++;
		for (i = 0; i < 8; i++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
	}
	return ~c;
}

static size_t
put(unsigned char *out, const struct frame *f)
{
	frame_header(f, out);
	if (f->length)
		memcpy(out + FRAME_HEADER, f->payload, f->length);
	return FRAME_HEADER + f->length;
}

/* As read(2) would, at most step bytes at a time; returns how many frames. */
struct seen {
	int n;
	struct frame last;
	unsigned char payload[FRAME_PAYLOAD_MAX];
	uint64_t skipped;
};

static void
feed(struct seen *s, const unsigned char *p, size_t n, size_t step)
{
	static struct frame_reader r;
	struct frame f;

	memset(s, 0, sizeof(*s));
	frame_reader_init(&r);
	while (n) {
		size_t room, k;
		void *to = frame_reader_space(&r, &room);

		k = room < step ? room : step;
		k = k < n ? k : n;
		memcpy(to, p, k);
		frame_reader_fill(&r, k);
		p += k;
		n -= k;
		while (frame_next(&r, &f)) {
			s->n++;
			s->last = f;
			memcpy(s->payload, f.payload, f.length);
		}
	}
	s->skipped = r.skipped;
}

static struct seen seen;
static unsigned char payload[FRAME_PAYLOAD_MAX];
static unsigned char wire[8 * FRAME_MAX];

static void
header(void)
{
	struct frame f = { .type = 5, .flags = FRAME_MORE, .stream = 0x1234,
		.length = 0x0102 };
	static const unsigned char want[12] = { 0xf7, 'f', 'r', 'g', 5, 1,
		0x34, 0x12, 2, 1, 0, 0 };
	unsigned char out[FRAME_HEADER];

	frame_header(&f, out);
	ok(!memcmp(out, want, 12), "header: little-endian, as documented");
	is_int(frame_get32(out + 12), crc_slow(out, 12), "header: CRC-32");
	is_int(crc_slow((const unsigned char *)"123456789", 9), 0xcbf43926,
		"that CRC is the IEEE one");
}

static void
integers(void)
{
	unsigned char p[8];

	frame_put64(p, 0x0123456789abcdef);
	ok(!memcmp(p, "\xef\xcd\xab\x89\x67\x45\x23\x01", 8), "put64");
	is_int((int64_t)frame_get64(p), 0x0123456789abcdef, "get64");
	is_int(frame_get32(p), 0x89abcdef, "get32 has no sign");
	is_int(frame_get16(p + 6), 0x0123, "get16");
}

static void
lengths(void)
{
	static const uint32_t n[] = { 0, 1, 2, 15, 16, 17, 255, 256, 32767,
		FRAME_PAYLOAD_MAX };
	size_t i;
	char name[64];

	for (i = 0; i < sizeof(n) / sizeof(*n); i++) {
		struct frame f = { .type = (uint8_t)(i + 1), .stream = 65535,
			.length = n[i], .payload = payload };

		feed(&seen, wire, put(wire, &f), SIZE_MAX);
		(void)snprintf(name, sizeof(name), "%u bytes", (unsigned)n[i]);
		ok(seen.n == 1 && seen.last.type == i + 1 &&
			seen.last.stream == 65535 &&
			seen.last.length == n[i] && !seen.skipped &&
			!memcmp(seen.payload, payload, n[i]), name);
	}
}

/* Three frames in two reads, cut at every byte there is. */
static void
split(void)
{
	struct frame f = { .type = 10, .stream = 7, .length = 40,
		.payload = payload };
	static struct frame_reader r;
	size_t n = 0, cut, bad = 0;

	n += put(wire, &f);
	f.length = 0;
	n += put(wire + n, &f);
	f.length = 33;
	n += put(wire + n, &f);
	for (cut = 0; cut <= n; cut++) {
		struct frame got;
		size_t room, part[2] = { cut, n - cut }, at = 0;
		int frames = 0, i;

		frame_reader_init(&r);
		for (i = 0; i < 2; at += part[i++]) {
			memcpy(frame_reader_space(&r, &room), wire + at,
				part[i]);
			frame_reader_fill(&r, part[i]);
			while (frame_next(&r, &got))
				frames++;
		}
		bad += frames != 3 || r.skipped || got.length != 33 ||
			memcmp(got.payload, payload, 33) != 0;
	}
	is_int((int64_t)bad, 0, "cut at every byte");
	feed(&seen, wire, n, 1);
	is_int(seen.n, 3, "a byte at a time");
}

/* Many full frames in reads of every odd size: no byte lost or twice. */
static void
stream(void)
{
	static const size_t step[] = { 1, 7, 4096, 32768, 65536, SIZE_MAX };
	struct frame f = { .type = 11, .stream = 1,
		.length = FRAME_PAYLOAD_MAX, .payload = payload };
	size_t i, n = 0;

	for (i = 0; i < 6; i++)
		n += put(wire + n, &f);
	for (i = 0; i < sizeof(step) / sizeof(*step); i++) {
		feed(&seen, wire, n, step[i]);
		ok(seen.n == 6 && !seen.skipped, "six of the longest frames");
	}
}

struct garbage {
	const char *name;
	const char *bytes;
	size_t n;
	int frames; /* found after it */
};

#define BYTES(s) (s), sizeof(s) - 1
static const struct garbage garbage[] = {
	{ "nothing", BYTES(""), 1 },
	{ "a byte", BYTES("x"), 1 },
	{ "half a magic", BYTES("\xf7\x66"), 1 },
	{ "the magic", BYTES("\xf7" "frg"), 1 },
	{ "the magic twice", BYTES("\xf7" "frg\xf7" "frg"), 1 },
	{ "first bytes of magics", BYTES("\xf7\xf7\xf7\xf7\xf7\xf7"), 1 },
	{ "a header with a bad CRC",
		BYTES("\xf7" "frg\1\0\0\0\0\0\0\0\0\0\0\0"), 1 },
	{ "text", BYTES("login: root\r\nPassword: \r\n# "), 1 },
	{ "zeroes", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 1 },
};

static void
resync(void)
{
	struct frame f = { .type = 9, .stream = 3, .length = 5,
		.payload = (const unsigned char *)"hello" };
	size_t i;

	for (i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		const struct garbage *g = &garbage[i];
		size_t n = g->n;

		memcpy(wire, g->bytes, n);
		n += put(wire + n, &f);
		feed(&seen, wire, n, 1);
		ok(seen.n == g->frames && seen.skipped == g->n &&
			seen.last.type == 9 && !memcmp(seen.payload, "hello", 5),
			g->name);
		feed(&seen, wire, n, SIZE_MAX);
		ok(seen.n == g->frames && seen.skipped == g->n, g->name);
	}
}

/* A header whose CRC holds is still refused when its length is too much. */
static void
too_long(void)
{
	struct frame f = { .type = 9, .length = FRAME_PAYLOAD_MAX + 1 };
	size_t n;

	frame_header(&f, wire);
	f.length = 0;
	n = FRAME_HEADER + put(wire + FRAME_HEADER, &f);
	feed(&seen, wire, n, SIZE_MAX);
	is_int(seen.n, 1, "a length over the limit is garbage");
	is_int((int64_t)seen.skipped, FRAME_HEADER, "and only its header is");
	f.length = UINT32_MAX;
	frame_header(&f, wire);
	feed(&seen, wire, n, 3);
	is_int(seen.n, 1, "so is the longest");
}

/* Any one byte of a header changed: that frame is not, the next one is. */
static void
damage(void)
{
	struct frame f = { .type = 9, .stream = 3, .length = 20,
		.payload = payload };
	size_t i, n, bad = 0;

	for (i = 0; i < FRAME_HEADER; i++) {
		n = put(wire, &f);
		n += put(wire + n, &f);
		wire[i] ^= 0x10;
		feed(&seen, wire, n, 5);
		bad += seen.n != 1 || seen.skipped != FRAME_HEADER + 20;
	}
	is_int((int64_t)bad, 0, "each damaged byte costs one frame");
}

/* A client died in mid-frame: what follows is swallowed at most once. */
static void
torn(void)
{
	struct frame f = { .type = 9, .length = 100, .payload = payload };
	size_t i, n = 0;

	(void)put(wire, &f);
	n = 50; /* the rest never comes */
	for (i = 0; i < 4; i++)
		n += put(wire + n, &f);
	feed(&seen, wire, n, SIZE_MAX);
	ok(seen.n == 4, "a torn frame does not cost more than one");
}

static void
noise(void)
{
	struct frame f = { .type = 9, .length = 3,
		.payload = (const unsigned char *)"end" };
	size_t i, n = 4 * FRAME_MAX;
	uint32_t x = 1;

	for (i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		wire[i] = (unsigned char)(x >> 24);
	}
	n += put(wire + n, &f);
	feed(&seen, wire, n, 1000);
	is_int(seen.n, 1, "one frame after 128 KiB of noise");
	is_int((int64_t)seen.skipped, 4 * FRAME_MAX, "all noise is counted");
}

static void
strings(void)
{
	static const char text[] = "one\0\0three\0cut";
	size_t pos = 0;

	is_str(frame_string(text, sizeof(text) - 1, &pos), "one", "a string");
	is_str(frame_string(text, sizeof(text) - 1, &pos), "", "an empty one");
	is_str(frame_string(text, sizeof(text) - 1, &pos), "three", "another");
	ok(!frame_string(text, sizeof(text) - 1, &pos), "no NUL: no string");
	pos = 0;
	ok(!frame_string(text, 0, &pos), "nothing in nothing");
	ok(!frame_string(text, 3, &pos), "the length holds");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i * 7 + i / 251);
	header();
	integers();
	lengths();
	split();
	stream();
	resync();
	too_long();
	damage();
	torn();
	noise();
	strings();
	return done();
}
