/*
 * frame: cuts a byte stream into typed messages, and finds the next message
 * again after any amount of garbage.
 *
 * A frame on the wire, integers little-endian:
 *	0  u32	magic F7 66 72 67
 *	4  u8	type
 *	5  u8	flags
 *	6  u16	stream
 *	8  u32	length of the payload, at most FRAME_PAYLOAD_MAX
 *	12 u32	CRC-32 (IEEE) of bytes 0..11
 *	16 ...	payload
 * The channels below it (virtio-serial, vsock, a Unix socket) lose and change
 * nothing, so the payload has no checksum of its own; the one in the header
 * is there to find a frame's start with certainty after a reconnect.
 *
 * Reading:
 *	struct frame_reader r;
 *	frame_reader_init(&r);
 *	n = read(fd, frame_reader_space(&r, &size), size);
 *	frame_reader_fill(&r, n);
 *	while (frame_next(&r, &f))
 *		... f.payload is valid until the next call on r ...
 * No memory is allocated: a reader is a fixed buffer of two frames.
 * No function here fails, reads the clock or does I/O.  Safe after fork.
 */
#ifndef FORGE_VM_FRAME_H
#define FORGE_VM_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER 16u
#define FRAME_PAYLOAD_MAX 32768u
#define FRAME_MAX (FRAME_HEADER + FRAME_PAYLOAD_MAX)

enum frame_flags {
	FRAME_MORE = 1 << 0, /* another part of the same message follows */
};

struct frame {
	uint8_t type;
	uint8_t flags;
	uint16_t stream;
	uint32_t length;
	const unsigned char *payload;
};

struct frame_reader {
	size_t start; /* first byte not yet given out */
	size_t end; /* one past the last byte read */
	uint64_t skipped; /* bytes thrown away while looking for a frame */
	unsigned char buf[2 * FRAME_MAX];
};

void frame_reader_init(struct frame_reader *r);

/* Where the next read(2) may put bytes, and how many; never 0. */
void *frame_reader_space(struct frame_reader *r, size_t *ret_size);

/* n bytes were put there. */
void frame_reader_fill(struct frame_reader *r, size_t n);

/* 1 and *ret filled, or 0 when more bytes are needed. */
int frame_next(struct frame_reader *r, struct frame *ret);

/*
 * Write the header of f (payload not looked at) into FRAME_HEADER bytes.
 * f->length must not exceed FRAME_PAYLOAD_MAX.
 */
void frame_header(const struct frame *f, unsigned char *out);

/* Little-endian integers in payloads. */
uint16_t frame_get16(const unsigned char *p);
uint32_t frame_get32(const unsigned char *p);
uint64_t frame_get64(const unsigned char *p);
void frame_put16(unsigned char *p, uint16_t v);
void frame_put32(unsigned char *p, uint32_t v);
void frame_put64(unsigned char *p, uint64_t v);

/*
 * Walk the NUL-terminated strings of a payload: start with *pos = 0; returns
 * the next string, or NULL at the end or when the rest has no NUL.
 */
const char *frame_string(const void *payload, size_t length, size_t *pos);

#endif
