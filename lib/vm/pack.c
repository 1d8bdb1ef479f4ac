/*
 * Compiled into forge-init too, under musl and without lib/base: only libc.
 */
#include "lib/vm/pack.h"

#include <errno.h>
#include <string.h>

#include "lib/vm/frame.h"

#define NSEC 1000000000u

size_t
pack_put(const struct pack_entry *e, unsigned char *out)
{
	size_t npath = strlen(e->path), nlink = strlen(e->link);

	if (npath > PACK_PATH_MAX || nlink > PACK_PATH_MAX)
		return 0;
	memset(out, 0, PACK_HEADER);
	out[0] = (unsigned char)e->type;
	frame_put16(out + 2, (uint16_t)npath);
	frame_put16(out + 4, (uint16_t)nlink);
	frame_put32(out + 8, e->mode);
	frame_put32(out + 12, e->uid);
	frame_put32(out + 16, e->gid);
	frame_put32(out + 20, (uint32_t)e->mtime.tv_nsec);
	frame_put64(out + 24, (uint64_t)e->mtime.tv_sec);
	frame_put32(out + 32, e->major);
	frame_put32(out + 36, e->minor);
	frame_put64(out + 40, e->size);
	memcpy(out + PACK_HEADER, e->path, npath);
	memcpy(out + PACK_HEADER + npath, e->link, nlink);
	return PACK_HEADER + npath + nlink;
}

void
pack_put_piece(enum pack_piece kind, uint64_t n, unsigned char *out)
{
	out[0] = (unsigned char)kind;
	frame_put64(out + 1, n);
}

/* ---- reading ---- */

static int
broken(void)
{
	errno = EPROTO;
	return -1;
}

/* The next thing is a piece of a file, or a record. */
static void
expect(struct pack_reader *r)
{
	r->have = 0;
	r->want = r->in_file ? PACK_PIECE : PACK_HEADER;
}

void
pack_reader_init(struct pack_reader *r, const struct pack_sink *sink,
	void *arg)
{
	memset(r, 0, sizeof(*r));
	r->sink = sink;
	r->arg = arg;
	expect(r);
}

static int
on_header(struct pack_reader *r)
{
	const unsigned char *p = r->head;

	r->npath = frame_get16(p + 2);
	r->nlink = frame_get16(p + 4);
	if (p[0] >= PACK_TYPE__MAX || r->npath > PACK_PATH_MAX ||
		r->nlink > PACK_PATH_MAX || frame_get32(p + 20) >= NSEC)
		return broken();
	if (p[0] == PACK_END) {
		r->ended = 1;
		return r->npath || r->nlink ? broken() : 0;
	}
	if (!r->npath)
		return broken();
	r->entry = (struct pack_entry){ .type = (enum pack_type)p[0],
		.mode = frame_get32(p + 8) & 07777,
		.uid = frame_get32(p + 12), .gid = frame_get32(p + 16),
		.mtime = { .tv_sec = (time_t)frame_get64(p + 24),
			.tv_nsec = (long)frame_get32(p + 20) },
		.major = frame_get32(p + 32), .minor = frame_get32(p + 36),
		.size = frame_get64(p + 40) };
	return 0;
}

/* The strings are there as well. */
static int
on_record(struct pack_reader *r)
{
	char *path = r->text, *link = r->text + PACK_PATH_MAX + 1;

	/* They came as one; the link may overlap its own place. */
	memmove(link, path + r->npath, r->nlink);
	path[r->npath] = link[r->nlink] = '\0';
	if (strlen(path) != r->npath || strlen(link) != r->nlink)
		return broken();
	r->entry.path = path;
	r->entry.link = link;
	r->in_file = r->entry.type == PACK_FILE;
	expect(r);
	return r->sink->entry(r->arg, &r->entry);
}

static int
on_piece(struct pack_reader *r)
{
	uint64_t n = frame_get64(r->head + 1);
	unsigned kind = r->head[0];

	if (kind >= PACK_PIECE__MAX || n > INT64_MAX)
		return broken();
	if (kind == PACK_WHOLE || kind == PACK_BROKEN) {
		r->in_file = 0;
		expect(r);
		return n ? broken() :
			   r->sink->close(r->arg, kind == PACK_WHOLE);
	}
	expect(r);
	if (kind == PACK_HOLE)
		return r->sink->data(r->arg, NULL, n);
	r->left = n;
	return 0;
}

/* Take n bytes at most to fill head, or text behind it; how many it were. */
static size_t
collect(struct pack_reader *r, const unsigned char *p, size_t n)
{
	size_t take = r->want - r->have < n ? r->want - r->have : n;

	if (r->want <= PACK_HEADER)
		memcpy(r->head + r->have, p, take);
	else
		memcpy(r->text + (r->have - PACK_HEADER), p, take);
	r->have += take;
	return take;
}

static int
step(struct pack_reader *r)
{
	if (r->in_file)
		return on_piece(r);
	if (r->have > PACK_HEADER)
		return on_record(r);
	if (on_header(r))
		return -1;
	r->want = PACK_HEADER + r->npath + r->nlink;
	return 0;
}

int
pack_feed(struct pack_reader *r, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n) {
		size_t take = n;

		if (r->ended)
			return broken();
		if (r->left) {
			if (take > r->left)
				take = (size_t)r->left;
			r->left -= take;
			if (r->sink->data(r->arg, p, take))
				return -1;
		} else {
			take = collect(r, p, n);
			if (r->have == r->want && step(r))
				return -1;
		}
		p += take;
		n -= take;
	}
	return 0;
}
