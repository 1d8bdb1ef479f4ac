#include "lib/net/pb.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define CHUNK 4096
#define DEPTH 16 /* of messages in messages */

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	max_align_t data[];
};

/* ---- memory ---- */

void
arena_release(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	*a = ARENA_INIT;
}

static void *
arena_alloc(void *arg, size_t n)
{
	struct arena *a = arg;
	void *p;

	if (n > ARENA_MAX)
		return NULL;
	n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (!a->chunks || a->chunks->size - a->used < n) {
		size_t size = n > CHUNK ? n : CHUNK;
		struct arena_chunk *c;

		if (a->total + size > ARENA_MAX)
			return NULL;
		c = xmalloc(sizeof(*c) + size);
		c->next = a->chunks;
		c->size = size;
		a->chunks = c;
		a->total += size;
		a->used = 0;
	}
	p = (char *)a->chunks->data + a->used;
	a->used += n;
	return p;
}

/* All at once, at the end. */
static void
arena_free(void *arg, void *p)
{
	(void)arg;
	(void)p;
}

/* ---- text ---- */

static bool
text_good(char *s, bool mend)
{
	size_t i;

	if (!s || utf8_valid(s, strlen(s)))
		return true;
	for (i = 0; mend && s[i]; i++)
		if ((unsigned char)s[i] >= 0x80)
			s[i] = '?';
	return mend;
}

static bool check(ProtobufCMessage *m, int depth, bool mend);

static bool
check_one(const ProtobufCFieldDescriptor *f, void *value, int depth,
	bool mend)
{
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return text_good(*(char **)value, mend);
	return check(*(ProtobufCMessage **)value, depth + 1, mend);
}

static bool
check_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
	int depth, bool mend)
{
	char *at = (char *)m + f->offset;
	size_t n, i;

	if (f->type != PROTOBUF_C_TYPE_STRING &&
		f->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	/* Of a oneof, the member is this field's only if its case says so. */
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		*(uint32_t *)(void *)((char *)m + f->quantifier_offset) !=
			f->id)
		return true;
	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return check_one(f, at, depth, mend);
	n = *(size_t *)(void *)((char *)m + f->quantifier_offset);
	for (i = 0; i < n; i++)
		if (!check_one(f, *(char **)(void *)at + i * sizeof(void *),
			    depth, mend))
			return false;
	return true;
}

static bool
check(ProtobufCMessage *m, int depth, bool mend) /* NOLINT(misc-no-recursion) */
{
	unsigned i;

	if (!m)
		return true;
	if (depth > DEPTH)
		return false;
	for (i = 0; i < m->descriptor->n_fields; i++)
		if (!check_field(m, &m->descriptor->fields[i], depth, mend))
			return false;
	return true;
}

/* ---- bytes ---- */

void *
pb_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
	struct arena *a)
{
	ProtobufCAllocator allocator = { arena_alloc, arena_free, a };
	ProtobufCMessage *m = protobuf_c_message_unpack(d, &allocator, n, p);

	return m && check(m, 0, false) ? m : NULL;
}

void
pb_pack(ProtobufCMessage *m, struct buf *out)
{
	size_t n;

	(void)check(m, 0, true);
	n = protobuf_c_message_get_packed_size(m);
	buf_grow(out, n);
	(void)protobuf_c_message_pack(m, (uint8_t *)out->s + out->len);
	out->len += n;
	out->s[out->len] = '\0';
}

bool
pb_send(struct grpc_call *call, ProtobufCMessage *m)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	pb_pack(m, &out);
	return grpc_send(call, out.s, out.len);
}
