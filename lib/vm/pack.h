/*
 * pack: files, directories and links as one stream of bytes, between forge-vm
 * and forge-init.  Simpler than tar: no limits to work around, holes kept,
 * and a file that could not be read to its end is marked as such.
 *
 * A record, integers little-endian:
 *	0  u8	enum pack_type
 *	1  u8	0
 *	2  u16	length of the path
 *	4  u16	length of the link
 *	6  u16	0
 *	8  u32	mode: permissions only
 *	12 u32	uid
 *	16 u32	gid
 *	20 u32	nanoseconds of the modification time
 *	24 i64	its seconds
 *	32 u32	major, of a device
 *	36 u32	minor
 *	40 u64	size of a file when it was opened: a hint
 *	48	path, then link; no NUL in them
 * A PACK_FILE is followed by its content, in pieces: u8 enum pack_piece and
 * u64 length, then, of PACK_DATA, that many bytes; PACK_WHOLE or PACK_BROKEN
 * ends it, with length 0.
 *
 * Compiled into forge-init too: only libc, and errno for errors.
 */
#ifndef FORGE_VM_PACK_H
#define FORGE_VM_PACK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define PACK_HEADER 48u
#define PACK_PIECE 9u
#define PACK_PATH_MAX 4096u

enum pack_type {
	PACK_END = 0, /* the last record, and nothing else in it */
	PACK_FILE = 1,
	PACK_DIRECTORY = 2,
	PACK_SYMLINK = 3, /* link: its target, any text */
	PACK_HARDLINK = 4, /* link: path of an earlier record */
	PACK_FIFO = 5,
	PACK_CHAR = 6,
	PACK_BLOCK = 7,
	PACK_TYPE__MAX
};

enum pack_piece { PACK_WHOLE = 0, PACK_DATA = 1, PACK_HOLE = 2,
	PACK_BROKEN = 3, PACK_PIECE__MAX };

struct pack_entry {
	enum pack_type type;
	uint32_t mode, uid, gid;
	struct timespec mtime;
	uint32_t major, minor;
	uint64_t size; /* of a file; what comes may be more or less */
	const char *path, *link; /* "" when there is none */
};

/*
 * Write the record of e, path and link included, to out; returns its length,
 * at most PACK_RECORD_MAX, or 0 when path or link are too long.
 */
#define PACK_RECORD_MAX (PACK_HEADER + 2 * PACK_PATH_MAX)
size_t pack_put(const struct pack_entry *e, unsigned char *out);
void pack_put_piece(enum pack_piece kind, uint64_t n, unsigned char *out);

/*
 * Reading: bytes go in as they come, in pieces of any length.
 *	struct pack_reader r;
 *	pack_reader_init(&r, &sink, arg);
 *	while (more) if (pack_feed(&r, p, n)) ...
 *	if (!r.ended) ... it was cut off ...
 * The functions of the sink return 0, or -1 with errno, which ends it; entry
 * and its strings are theirs until they return.  What breaks the format is
 * EPROTO, whoever sent it; bytes behind PACK_END too.
 */
struct pack_sink {
	int (*entry)(void *arg, const struct pack_entry *e);
	/* of the last PACK_FILE: bytes, or a hole (p is NULL) */
	int (*data)(void *arg, const void *p, uint64_t n);
	int (*close)(void *arg, int whole); /* its end */
};

struct pack_reader {
	const struct pack_sink *sink;
	void *arg;
	size_t have, want; /* of head */
	uint64_t left; /* bytes of a PACK_DATA still to come */
	int in_file; /* what comes next is a piece */
	int ended;
	unsigned char head[PACK_HEADER];
	struct pack_entry entry;
	size_t npath, nlink;
	char text[2 * PACK_PATH_MAX + 2]; /* path NUL link NUL */
};

void pack_reader_init(struct pack_reader *r, const struct pack_sink *sink,
	void *arg);
int pack_feed(struct pack_reader *r, const void *data, size_t n)
	__attribute__((warn_unused_result));

#endif
