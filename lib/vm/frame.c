/*
 * Compiled into forge-init too, under musl and without lib/base: only libc.
 */
#include "lib/vm/frame.h"

#include <string.h>

static const unsigned char magic[4] = { 0xf7, 'f', 'r', 'g' };

uint16_t
frame_get16(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t
frame_get32(const unsigned char *p)
{
	return (uint32_t)frame_get16(p) | (uint32_t)frame_get16(p + 2) << 16;
}

uint64_t
frame_get64(const unsigned char *p)
{
	return frame_get32(p) | (uint64_t)frame_get32(p + 4) << 32;
}

void
frame_put16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}

void
frame_put32(unsigned char *p, uint32_t v)
{
	frame_put16(p, (uint16_t)v);
	frame_put16(p + 2, (uint16_t)(v >> 16));
}

void
frame_put64(unsigned char *p, uint64_t v)
{
	frame_put32(p, (uint32_t)v);
	frame_put32(p + 4, (uint32_t)(v >> 32));
}

/* CRC-32 (IEEE 802.3), a nibble at a time: 12 bytes a frame need no table
 * of a kilobyte. */
static uint32_t
crc32(const unsigned char *p, size_t n)
{
	static const uint32_t nibble[16] = { 0x00000000, 0x1db71064,
		0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158,
		0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t c = ~0u;

	while (n--) {
		c ^= *p++;
		c = c >> 4 ^ nibble[c & 15];
		c = c >> 4 ^ nibble[c & 15];
	}
	return ~c;
}

void
frame_header(const struct frame *f, unsigned char *out)
{
	memcpy(out, magic, sizeof(magic));
	out[4] = f->type;
	out[5] = f->flags;
	frame_put16(out + 6, f->stream);
	frame_put32(out + 8, f->length);
	frame_put32(out + 12, crc32(out, 12));
}

void
frame_reader_init(struct frame_reader *r)
{
	r->start = r->end = 0;
	r->skipped = 0;
}

void *
frame_reader_space(struct frame_reader *r, size_t *ret_size)
{
	/* frame_next leaves less than one frame, so one always fits. */
	if (r->start && r->end - r->start < FRAME_MAX) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	*ret_size = sizeof(r->buf) - r->end;
	return r->buf + r->end;
}

void
frame_reader_fill(struct frame_reader *r, size_t n)
{
	r->end += n;
}

static int
sound(const unsigned char *p)
{
	return !memcmp(p, magic, sizeof(magic)) &&
		frame_get32(p + 12) == crc32(p, 12) &&
		frame_get32(p + 8) <= FRAME_PAYLOAD_MAX;
}

/* Skip to the next byte that may begin a frame. */
static void
resync(struct frame_reader *r)
{
	const unsigned char *p = r->buf + r->start + 1;
	size_t left = r->end - r->start - 1;
	const unsigned char *q = left ? memchr(p, magic[0], left) : NULL;
	size_t next = q ? (size_t)(q - r->buf) : r->end;

	r->skipped += next - r->start;
	r->start = next;
}

int
frame_next(struct frame_reader *r, struct frame *ret)
{
	while (r->end - r->start >= FRAME_HEADER) {
		const unsigned char *p = r->buf + r->start;
		uint32_t length;

		if (!sound(p)) {
			resync(r);
			continue;
		}
		length = frame_get32(p + 8);
		if (r->end - r->start < FRAME_HEADER + length)
			return 0;
		ret->type = p[4];
		ret->flags = p[5];
		ret->stream = frame_get16(p + 6);
		ret->length = length;
		ret->payload = p + FRAME_HEADER;
		r->start += FRAME_HEADER + length;
		return 1;
	}
	return 0;
}

const char *
frame_string(const void *payload, size_t length, size_t *pos)
{
	const char *s = (const char *)payload + *pos;
	const char *nul;

	if (*pos >= length)
		return NULL;
	nul = memchr(s, '\0', length - *pos);
	if (!nul)
		return NULL;
	*pos += (size_t)(nul - s) + 1;
	return s;
}
